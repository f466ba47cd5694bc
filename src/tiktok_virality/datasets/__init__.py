"""How each catalog entry is stored and read."""

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
