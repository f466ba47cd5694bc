"""Parquet tables that Kedro-Viz can show whatever is in them."""

from __future__ import annotations

import io
import json
from typing import Any, ClassVar

import pandas as pd
from kedro.io import DatasetError
from kedro_datasets._typing import TablePreview
from kedro_datasets.pandas import ParquetDataset
from pyarrow import ArrowException

from tiktok_virality.datasets.dataset_places import place_of
from tiktok_virality.datasets.forgetting import Forgotten, forget_rows
from tiktok_virality.datasets.part_files import write_bytes_atomically
from tiktok_virality.schema import DamageError


class ParquetTable(ParquetDataset):
    """A table in Parquet: all of it or nothing, with checksums; its preview takes moments."""

    DEFAULT_LOAD_ARGS: ClassVar[dict[str, Any]] = {"page_checksum_verification": True}
    DEFAULT_SAVE_ARGS: ClassVar[dict[str, Any]] = {"write_page_checksum": True}

    def save(self, data: pd.DataFrame) -> None:
        """Write the table; a run that is killed here leaves the one before."""
        path = place_of(self)
        if path is None or self._version:
            super().save(data)
            return
        buffer = io.BytesIO()
        data.to_parquet(buffer, **self._save_args)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomically(path, buffer.getvalue())

    def load(self) -> pd.DataFrame:
        """Read the table.

        Raises:
            DamageError: It is not what was written.
        """
        try:
            return super().load()
        except DatasetError as error:
            why = error.__cause__
            if not isinstance(why, ArrowException | OSError) or getattr(why, "errno", None):
                raise
            raise DamageError(
                f"{self._filepath} is damaged: {why}. `kedro run` makes it again."
            ) from error

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows, for Kedro-Viz."""
        text = self.load().head(nrows).to_json(orient="split", date_format="iso")
        return TablePreview(json.loads(text))

    def forget(self, names: Forgotten, *, dry_run: bool = False) -> int:
        """Remove the rows of videos, and their names from other rows; return how many went."""
        path = place_of(self)
        return 0 if path is None else forget_rows(path, names, dry_run=dry_run)


class OptionalParquet(ParquetTable):
    """A table in Parquet; loading one that does not exist gives ``None``."""

    def load(self) -> pd.DataFrame | None:  # type: ignore[override]
        """Read the table, or return ``None``."""
        return super().load() if self.exists() else None

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows, for Kedro-Viz; none where there is no table."""
        if self.exists():
            return super().preview(nrows)
        return TablePreview({"index": [], "columns": [], "data": []})
