from __future__ import annotations

import subprocess
import sys

import pandas as pd
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation import TypeExtractor
from kedro_datasets.pandas import ParquetDataset

from tiktok_virality.datasets import PostMetadata, StageStore, VideoFolder
from tiktok_virality.media.limits import ClipLimits, DuplicateParameters, SplitParameters
from tiktok_virality.pipelines.ingestion import create_pipeline

COLORS = ("red", "green", "blue", "white")


def test_the_pipeline_makes_the_manifest_the_rejects_and_the_splits(corpus):
    for color in COLORS:
        corpus.add(f"{color}.mp4", color)
    corpus.describe(*({"id": color, "views": "3384"} for color in (*COLORS, "gone")))
    outputs = {
        name: ParquetDataset(filepath=str(corpus.folder / f"{name}.parquet"))
        for name in ("posts", "manifest", "rejected_videos", "splits")
    }
    catalog = DataCatalog(
        {
            "videos": VideoFolder(filepath=str(corpus.videos)),
            "video_metadata": PostMetadata(filepath=str(corpus.folder)),
            "video_probes": StageStore(
                filepath=str(corpus.folder / "probes"), engine={"type": "local", "workers": 1}
            ),
            "fingerprints": StageStore(
                filepath=str(corpus.folder / "fingerprints"),
                engine={"type": "local", "workers": 1},
            ),
            "params:ingestion.duplicates": MemoryDataset(DuplicateParameters()),
            "params:ingestion.limits": MemoryDataset(ClipLimits()),
            "params:ingestion.splits": MemoryDataset(SplitParameters()),
            "params:seed": MemoryDataset(1),
            **outputs,
        }
    )
    SequentialRunner().run(create_pipeline(), catalog)
    manifest = outputs["manifest"].load()
    assert manifest["video_id"].tolist() == list(COLORS)
    assert str(manifest["posted_at"].dtype) == "datetime64[us, UTC]"
    assert outputs["rejected_videos"].load()["reason"].tolist() == ["no file"]
    assert len(outputs["splits"].load()) == len(COLORS)


def test_every_node_carries_the_tags_that_it_is_chosen_by():
    nodes = {node.short_name: node.tags for node in create_pipeline().nodes}
    assert all({"ingestion", "cpu"} <= tags for tags in nodes.values())
    assert "media" in nodes["probe_videos"] & nodes["fingerprint_videos"]


def test_parameters_reach_the_nodes_as_typed_groups():
    requirements = TypeExtractor({"ingestion": create_pipeline()}).extract_types_from_pipelines()
    assert requirements == {
        "ingestion.duplicates": DuplicateParameters,
        "ingestion.limits": ClipLimits,
        "ingestion.splits": SplitParameters,
    }


def test_wiring_loads_no_heavy_library():
    code = (
        "import sys, tiktok_virality.pipelines.ingestion as p; p.create_pipeline();"
        "print(*{'torch', 'av', 'whisper', 'mlflow', 'sklearn'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip()) == (0, ""), result.stderr


def test_a_table_of_ten_thousand_posts_is_matched_quickly_and_exactly(corpus):
    corpus.add("0.mp4")
    corpus.describe(*({"id": str(i), "views": f"{i / 10}K"} for i in range(10_000)))
    posts = corpus.match()
    assert len(posts) == 10_000
    assert posts["reason"].value_counts().to_dict() == {"no file": 9_999}
    assert isinstance(posts, pd.DataFrame)
