"""One thread, as for all small models."""

from tests.models.conftest import one_thread

__all__ = ["one_thread"]
