"""How each catalog entry is stored and read."""

from tiktok_virality.datasets.archives import ArrayArchive
from tiktok_virality.datasets.forget_list import ForgetListFile
from tiktok_virality.datasets.model_folders import (
    CheckpointFolder,
    SafetensorsModel,
    SkopsBaselines,
)
from tiktok_virality.datasets.parquet_table import OptionalParquet, ParquetTable
from tiktok_virality.datasets.post_metadata import PostMetadata
from tiktok_virality.datasets.stage_store import StageReport, StageStore
from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.datasets.video_folder import VideoFolder

__all__ = [
    "ArrayArchive",
    "CheckpointFolder",
    "ForgetListFile",
    "OptionalParquet",
    "ParquetTable",
    "PostMetadata",
    "SafetensorsModel",
    "SkopsBaselines",
    "StageReport",
    "StageStore",
    "StageTable",
    "VideoFolder",
]
