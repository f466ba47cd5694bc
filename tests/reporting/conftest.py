"""A small study with known answers: four creators' test clips, a table of predictions, a video."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.media.encoding import ffmpeg, h264, picture
from tiktok_virality.evaluation.config import ReportingParameters
from tiktok_virality.media.clip import EncodedVideo, VideoFiles
from tiktok_virality.pipelines.reporting import nodes

SEED = 3
HOSTILE = "<script>alert('&')</script> said the cat"
MODALITIES = {
    "training_mean": "none",
    "training_median": "none",
    "duration": "metadata",
    "ridge": "visual+audio",
    "gradient_boosting": "visual+audio",
    "visual": "visual",
    "audio": "audio",
    "early_fusion": "visual+audio",
    "ensemble": "visual+audio",
}
NOISE = {"duration": 1.9, "visual": 1.2, "audio": 1.2, "early_fusion": 1.0, "ensemble": 0.3}
BASELINE_NOISE = {
    "ridge": {"train": 0.5, "validation": 0.6, "calibration": 1.2, "test": 1.2},
    "gradient_boosting": {"train": 0.1, "validation": 1.4, "calibration": 0.8, "test": 0.8},
}


@dataclass(frozen=True)
class Stage:
    """What the report reads of a stage table."""

    ids: list[str]
    absent: dict[str, str] = field(default_factory=dict)
    failures: tuple[tuple[str, str, str], ...] = ()

    @property
    def failed(self) -> pd.DataFrame:
        return pd.DataFrame(list(self.failures), columns=["video_id", "reason", "detail"])

    def __len__(self) -> int:
        return len(self.ids)


@pytest.fixture
def reporting() -> ReportingParameters:
    return ReportingParameters(resamples=200, confidence=0.9, sample_clips=3)


@pytest.fixture
def manifest() -> pd.DataFrame:
    rng = np.random.default_rng(SEED)
    count = 120
    return pd.DataFrame(
        {
            "video_id": [f"clip{index:03}" for index in range(count)],
            "creator_id": [f"creator{index // 4:02}" for index in range(count)],
            "duplicate_group": [f"group{index:03}" for index in range(count)],
            "views": np.exp(rng.normal(10, 2, count)).astype(np.int64),
            "duration_seconds": rng.uniform(4, 9, count),
            "has_audio": np.arange(count) % 10 > 0,
        }
    )


@pytest.fixture
def splits(manifest) -> pd.DataFrame:
    names = ["train"] * 44 + ["validation"] * 20 + ["calibration"] * 16 + ["test"] * 40
    return pd.DataFrame({"video_id": manifest["video_id"], "split": names})


@pytest.fixture
def predictions(manifest, splits) -> pd.DataFrame:
    """Ridge is the best baseline on validation, gradient boosting the best on test."""
    rng = np.random.default_rng(SEED)
    truth = np.log1p(manifest["views"].to_numpy(float))
    split = splits["split"].to_numpy()
    train = truth[split == "train"]
    tables = []
    for model, modality in MODALITIES.items():
        if modality == "none":
            constant = train.mean() if model == "training_mean" else np.median(train)
            predicted = np.full(len(truth), constant)
        else:
            by_split = BASELINE_NOISE.get(model)
            noise = [by_split[name] if by_split else NOISE[model] for name in split]
            predicted = truth + rng.normal(0, 1, len(truth)) * noise
        tables.append(
            pd.DataFrame(
                {
                    "video_id": manifest["video_id"],
                    "split": split,
                    "model": model,
                    "modality": modality,
                    "y_true": truth,
                    "y_pred": predicted,
                    "lower": np.nan,
                    "upper": np.nan,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


@pytest.fixture
def leaderboard(predictions, manifest, splits, reporting) -> list[dict[str, Any]]:
    return nodes.build_leaderboard(predictions, manifest, splits, reporting, SEED)


@pytest.fixture
def verdict(predictions, leaderboard, manifest, reporting) -> dict[str, Any]:
    return nodes.compare_models(predictions, leaderboard, manifest, reporting, SEED)


@pytest.fixture
def ground_truth(manifest) -> dict[str, Any]:
    """What was planted: the sound says nothing, picture and sound together say everything."""
    log_views = np.log1p(manifest["views"].to_numpy(float))
    known = [
        {"visual": (y + log_views.mean()) / 2, "audio": log_views.mean(), "visual+audio": y}
        for y in log_views
    ]
    return {
        "world": "mixed",
        "reachable_r2": {"visual": 0.75, "audio": 0.0, "visual+audio": 1.0},
        "clips": {
            video_id: {"predictable_log_views": views}
            for video_id, views in zip(manifest["video_id"], known, strict=True)
        },
    }


@pytest.fixture
def rejected_videos() -> pd.DataFrame:
    rows = [
        ("gone", "posts", "no file", "no video file is named 'gone'"),
        ("lost", "posts", "no file", "no video file is named 'lost'"),
        ("<b>id", "probe", "unreadable", "<b>id.mp4: moov atom not found"),
    ]
    return pd.DataFrame(rows, columns=["video_id", "stage", "reason", "detail"])


@pytest.fixture
def frames(manifest) -> Stage:
    return Stage(manifest["video_id"].tolist()[1:], failures=(("clip000", "unreadable", "cut"),))


@pytest.fixture
def audio_embeddings(manifest) -> Stage:
    silent = manifest.loc[~manifest["has_audio"], "video_id"]
    heard = manifest.loc[manifest["has_audio"], "video_id"]
    return Stage(heard.tolist(), absent=dict.fromkeys(silent, "no audio track"))


@pytest.fixture
def training_summary() -> dict[str, Any]:
    history = [
        {
            "epoch": e,
            "train_loss": 1 / (e + 1),
            "validation_loss": 1 / (e + 1) + 0.1 * e,
            "seconds": 2,
        }
        for e in range(5)
    ]
    names = ("autoencoder", "visual", "audio", "early_fusion", "ensemble")
    return {name: {"parameter_count": 12_345, "history": history} for name in names}


@pytest.fixture
def transcripts(manifest) -> pd.DataFrame:
    heard = manifest.loc[manifest["has_audio"], "video_id"]
    return pd.DataFrame({"video_id": heard, "text": HOSTILE})


@pytest.fixture
def videos(manifest, tmp_path: Path) -> VideoFiles:
    """One real clip under every id."""
    path = tmp_path / "clip.mp4"
    ffmpeg(*picture(1), *h264(), path)
    return VideoFiles(
        tmp_path,
        [
            EncodedVideo(video_id=i, path=path, size_bytes=1, modified_ns=1)
            for i in manifest["video_id"]
        ],
    )


@pytest.fixture
def reconstructions() -> dict[str, Any]:
    original = np.random.default_rng(SEED).integers(0, 256, (2, 7, 3, 32, 18)).astype(np.uint8)
    return {
        "video_id": np.array(["clip080", "clip085"]),
        "original": original,
        "reconstruction": 255 - original,
        "length": np.array([7, 1]),
    }
