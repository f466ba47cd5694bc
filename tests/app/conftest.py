from tests.ingestion.conftest import shelf

__all__ = ["shelf"]
