"""Asking for another attempt at what failed."""

from __future__ import annotations

from kedro.io import DataCatalog

from tiktok_virality.datasets import StageStore
from tiktok_virality.schema import DataError
from tiktok_virality.serving.project import stored_datasets


def retry(catalog: DataCatalog, stage: str | None = None) -> dict[str, int]:
    """Have the next run try again what failed.

    Args:
        catalog: Of the environment.
        stage: Name of one dataset; ``None`` for every stage.

    Returns:
        How many clips failed, by stage; stages without are left out.

    Raises:
        DataError: There is no such stage.
    """
    stores = {
        name: dataset
        for name, dataset in stored_datasets(catalog).items()
        if isinstance(dataset, StageStore)
    }
    if stage is not None and stage not in stores:
        raise DataError(f"There is no stage {stage!r}; there are {', '.join(stores)}.")
    failed = {name: store.retry() for name, store in stores.items() if stage in (None, name)}
    return {name: clips for name, clips in failed.items() if clips}
