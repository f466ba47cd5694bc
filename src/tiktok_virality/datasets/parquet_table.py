"""Parquet tables that Kedro-Viz can show whatever is in them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
from kedro_datasets._typing import TablePreview
from kedro_datasets.pandas import ParquetDataset

from tiktok_virality.datasets.forgetting import Forgotten, forget_rows


class ParquetTable(ParquetDataset):
    """A table in Parquet whose preview also takes moments and missing values."""

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows, for Kedro-Viz."""
        text = self.load().head(nrows).to_json(orient="split", date_format="iso")
        return TablePreview(json.loads(text))

    def forget(self, names: Forgotten, *, dry_run: bool = False) -> int:
        """Remove the rows of videos, and their names from other rows; return how many went."""
        return forget_rows(Path(str(self._filepath)), names, dry_run=dry_run)


class OptionalParquet(ParquetTable):
    """A table in Parquet; loading one that does not exist gives ``None``."""

    def load(self) -> pd.DataFrame | None:
        """Read the table, or return ``None``."""
        return super().load() if self.exists() else None

    def preview(self, nrows: int = 5) -> TablePreview:
        """Return the first rows, for Kedro-Viz; none where there is no table."""
        if self.exists():
            return super().preview(nrows)
        return TablePreview({"index": [], "columns": [], "data": []})
