from __future__ import annotations

import pandas as pd
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation import TypeExtractor
from kedro_datasets.pandas import ParquetDataset
from kedro_datasets.text import TextDataset

from tests.ingestion.conftest import Corpus
from tests.stages.stores import stage_store
from tiktok_virality.datasets import (
    ForgetListFile,
    OptionalParquet,
    PostMetadata,
    VideoFolder,
)
from tiktok_virality.datasets.optional_json import OptionalJSON
from tiktok_virality.evaluation.config import EvaluationParameters
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.media.limits import (
    ClipLimits,
    DuplicateParameters,
    HorizonParameters,
    SplitParameters,
    WaveformParameters,
)
from tiktok_virality.media.motion import MotionSampling
from tiktok_virality.media.stills import StillSampling
from tiktok_virality.pipelines.ingestion import create_pipeline
from tiktok_virality.schema import DataError

COLORS = ("red", "green", "blue", "white")


def make_catalog(corpus: Corpus) -> DataCatalog:
    outputs = {
        name: ParquetDataset(filepath=str(corpus.folder / f"{name}.parquet"))
        for name in ("posts", "manifest", "rejected_videos", "splits")
    }
    return DataCatalog(
        {
            "videos": VideoFolder(filepath=str(corpus.videos)),
            "video_metadata": PostMetadata(filepath=str(corpus.folder)),
            "video_probes": stage_store(corpus.folder / "probes"),
            "frames": stage_store(corpus.folder / "frames"),
            "waveforms": stage_store(corpus.folder / "waveforms"),
            "fingerprints": stage_store(corpus.folder / "fingerprints"),
            "forget_list": ForgetListFile(filepath=str(corpus.folder / "forgotten.json")),
            "count_snapshots": OptionalParquet(filepath=str(corpus.folder / "snapshots.parquet")),
            "transcripts": OptionalParquet(filepath=str(corpus.folder / "transcripts.parquet")),
            "ground_truth": OptionalJSON(filepath=str(corpus.folder / "ground_truth.json")),
            "dataset_card": TextDataset(filepath=str(corpus.folder / "dataset_card.html")),
            "params:ingestion.horizons": MemoryDataset(HorizonParameters()),
            "params:ingestion.duplicates": MemoryDataset(DuplicateParameters()),
            "params:ingestion.stills": MemoryDataset(StillSampling(count=2)),
            "params:ingestion.motion": MemoryDataset(MotionSampling()),
            "params:visual.sampling": MemoryDataset(FrameSampling(shrink=32)),
            "params:ingestion.limits": MemoryDataset(ClipLimits()),
            "params:ingestion.waveforms": MemoryDataset(WaveformParameters()),
            "params:ingestion.splits": MemoryDataset(SplitParameters()),
            "params:evaluation": MemoryDataset(EvaluationParameters()),
            "params:seed": MemoryDataset(1),
            **outputs,
        }
    )


def test_the_pipeline_makes_the_manifest_the_rejects_and_the_splits(corpus):
    for color in COLORS:
        corpus.add(f"{color}.mp4", color)
    corpus.describe(*({"id": color, "views": "3384"} for color in (*COLORS, "gone")))
    catalog = make_catalog(corpus)
    SequentialRunner().run(create_pipeline(), catalog)
    manifest = catalog.load("manifest")
    assert manifest["video_id"].tolist() == list(COLORS)
    assert str(manifest["posted_at"].dtype) == "datetime64[us, UTC]"
    assert catalog.load("rejected_videos")["reason"].tolist() == ["no file"]
    assert len(catalog.load("splits")) == len(COLORS)
    assert "4 usable clips" in (corpus.folder / "dataset_card.html").read_text()


def test_a_corpus_that_is_too_small_to_be_split_has_a_card(corpus):
    corpus.add("red.mp4")
    corpus.describe({"id": "red", "views": "3384"})
    with pytest.raises(DataError):
        SequentialRunner().run(create_pipeline(), make_catalog(corpus))
    assert "1 usable clip" in (corpus.folder / "dataset_card.html").read_text()


def test_every_node_carries_the_tags_that_it_is_chosen_by():
    nodes = {node.short_name: node.tags for node in create_pipeline().nodes}
    assert all({"ingestion", "cpu"} <= tags for tags in nodes.values())
    assert "media" in nodes["probe_videos"] & nodes["decode_videos"] & nodes["fingerprint_videos"]


def test_parameters_reach_the_nodes_as_typed_groups():
    requirements = TypeExtractor({"ingestion": create_pipeline()}).extract_types_from_pipelines()
    assert requirements == {
        "evaluation": EvaluationParameters,
        "ingestion.duplicates": DuplicateParameters,
        "ingestion.horizons": HorizonParameters,
        "ingestion.limits": ClipLimits,
        "ingestion.motion": MotionSampling,
        "ingestion.splits": SplitParameters,
        "ingestion.stills": StillSampling,
        "ingestion.waveforms": WaveformParameters,
        "visual.sampling": FrameSampling,
    }


def test_a_table_of_ten_thousand_posts_is_matched_quickly_and_exactly(corpus):
    corpus.add("0.mp4")
    corpus.describe(*({"id": str(i), "views": f"{i / 10}K"} for i in range(10_000)))
    posts = corpus.match()
    assert len(posts) == 10_000
    assert posts["reason"].value_counts().to_dict() == {"no file": 9_999}
    assert isinstance(posts, pd.DataFrame)
