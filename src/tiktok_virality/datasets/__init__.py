"""How each catalog entry is stored and read.

Each class is imported when it is asked for: a worker that writes part files needs no tables.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tiktok_virality.datasets.archives import ArrayArchive
    from tiktok_virality.datasets.collection_folder import (
        CollectionFolder,
        DownloadArchive,
        JsonLines,
        SiteCredentials,
    )
    from tiktok_virality.datasets.forget_list import ForgetListFile
    from tiktok_virality.datasets.model_folders import (
        CheckpointFolder,
        SafetensorsModel,
        SkopsBaselines,
    )
    from tiktok_virality.datasets.parquet_table import OptionalParquet, ParquetTable
    from tiktok_virality.datasets.post_metadata import PostMetadata
    from tiktok_virality.datasets.spreadsheet_csv import SpreadsheetCSV
    from tiktok_virality.datasets.stage_store import StageReport, StageStore
    from tiktok_virality.datasets.stage_table import StageTable
    from tiktok_virality.datasets.video_folder import VideoFolder

__all__ = [
    "ArrayArchive",
    "CheckpointFolder",
    "CollectionFolder",
    "DownloadArchive",
    "ForgetListFile",
    "JsonLines",
    "OptionalParquet",
    "ParquetTable",
    "PostMetadata",
    "SafetensorsModel",
    "SiteCredentials",
    "SkopsBaselines",
    "SpreadsheetCSV",
    "StageReport",
    "StageStore",
    "StageTable",
    "VideoFolder",
]

_PLACES = {
    "ArrayArchive": "archives",
    "CheckpointFolder": "model_folders",
    "CollectionFolder": "collection_folder",
    "DownloadArchive": "collection_folder",
    "ForgetListFile": "forget_list",
    "JsonLines": "collection_folder",
    "OptionalParquet": "parquet_table",
    "ParquetTable": "parquet_table",
    "PostMetadata": "post_metadata",
    "SafetensorsModel": "model_folders",
    "SiteCredentials": "collection_folder",
    "SkopsBaselines": "model_folders",
    "SpreadsheetCSV": "spreadsheet_csv",
    "StageReport": "stage_store",
    "StageStore": "stage_store",
    "StageTable": "stage_table",
    "VideoFolder": "video_folder",
}


def __getattr__(name: str) -> Any:
    """Import a class from its module."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
