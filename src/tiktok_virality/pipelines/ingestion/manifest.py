"""The shape of the tables that ingestion makes; the catalog checks them on saving and loading."""

from __future__ import annotations

from typing import Final, get_args

from pandera.pandas import Check, Column, DataFrameSchema

from tiktok_virality.evaluation.cross_fitting import FOLD
from tiktok_virality.media.limits import SplitStrategy
from tiktok_virality.pipelines.ingestion.columns import (
    HORIZON_COLUMNS,
    MAX_VIEWS,
    MOMENT,
    REJECTION_REASONS,
)
from tiktok_virality.schema import SPLITS

COUNTED: Final = Check.in_range(0, MAX_VIEWS)

ManifestSchema = DataFrameSchema(
    {
        "video_id": Column(str, Check.str_length(min_value=1), unique=True),
        "url": Column(str, nullable=True),
        "creator_id": Column(str, nullable=True),
        "posted_at": Column(MOMENT, nullable=True),
        "captured_at": Column(MOMENT, nullable=True),
        "views": Column("int64", COUNTED),
        "duration_seconds": Column(float, Check.gt(0)),
        "width": Column("int64", Check.ge(1)),
        "height": Column("int64", Check.ge(1)),
        "fps": Column(float, Check.gt(0)),
        "video_codec": Column(str),
        "has_audio": Column(bool),
        "content_hash": Column(str, Check.str_length(64, 64), unique=True),
        "duplicate_group": Column(str),
        "caption": Column(str, nullable=True),
        "hashtags": Column(str),
        "size_bytes": Column("int64", Check.ge(1)),
        "topic": Column(str, nullable=True),
        **dict.fromkeys(("likes", "comments", "shares"), Column("Int64", COUNTED, nullable=True)),
        HORIZON_COLUMNS: Column("Int64", COUNTED, nullable=True, regex=True, required=False),
    },
    name="manifest",
    strict=True,
    ordered=True,
    coerce=True,
)

RejectedVideosSchema = DataFrameSchema(
    {
        "video_id": Column(str),
        "stage": Column(str, Check.isin(["posts", "probe", "selection"])),
        "reason": Column(str, Check.isin(REJECTION_REASONS)),
        "detail": Column(str),
    },
    name="rejected_videos",
    strict=True,
    coerce=True,
)

SplitsSchema = DataFrameSchema(
    {
        "video_id": Column(str, unique=True),
        "split": Column(str, Check.isin(SPLITS)),
        "strategy": Column(str, Check.isin(get_args(SplitStrategy))),
        FOLD: Column(int, Check.ge(0), required=False),
    },
    name="splits",
    strict=True,
    coerce=True,
)
