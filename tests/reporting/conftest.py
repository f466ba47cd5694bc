"""A small study with known answers: four creators' test clips, a table of predictions, a video."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.media.encoding import ffmpeg, h264, picture
from tiktok_virality.demo.senses import BOTH, PICTURE, SOUND
from tiktok_virality.evaluation.config import ReportingParameters
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.media.clip import EncodedVideo, VideoFiles
from tiktok_virality.pipelines.reporting import nodes

SEED = 3
SEEDS = (SEED, SEED + 1, SEED + 2)
HOSTILE = "<script>alert('&')</script> said the cat"
MODALITIES = {
    "training_mean": "none",
    "training_median": "none",
    "duration": "metadata",
    "ridge": "all",
    "gradient_boosting": "all",
    "visual": "visual",
    "audio": "audio",
    "early_fusion": "all",
    "late_fusion_gate": "all",
    "ensemble": "all",
    "creator_history": "none",
}
REGIMES = dict.fromkeys(MODALITIES, "content") | {"creator_history": "creator"}
REPEATED = ("gradient_boosting", "visual", "audio", "early_fusion", "late_fusion_gate", "ensemble")
NOISE = {
    "duration": 1.9,
    "visual": 1.2,
    "audio": 1.2,
    "early_fusion": 1.0,
    "late_fusion_gate": 0.5,
    "ensemble": 0.3,
    "creator_history": 0.2,
}
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


@pytest.fixture(scope="session")
def reporting() -> ReportingParameters:
    return ReportingParameters(confidence=0.9, sign_flips=2000, sample_clips=3)


@pytest.fixture(scope="session")
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
            "caption": [HOSTILE if index % 2 else None for index in range(count)],
        }
    )


@pytest.fixture(scope="session")
def splits(manifest) -> pd.DataFrame:
    names = ["train"] * 44 + ["validation"] * 20 + ["calibration"] * 16 + ["test"] * 40
    return pd.DataFrame({"video_id": manifest["video_id"], "split": names})


@pytest.fixture(scope="session")
def target() -> TargetParameters:
    return TargetParameters()


@pytest.fixture(scope="session")
def predictions(manifest, splits) -> pd.DataFrame:
    """Ridge is the best baseline on validation, gradient boosting the best on test.

    Who knows the creator errs least of all. Intervals of the ensemble are one wide, up and down.
    """
    truth = np.log1p(manifest["views"].to_numpy(float))
    split = splits["split"].to_numpy()
    tables = []
    for model, modality in MODALITIES.items():
        for seed in SEEDS if model in REPEATED else SEEDS[:1]:
            predicted = predict(model, truth, split, seed)
            reach = 1.0 if (model, seed) == ("ensemble", SEED) else np.nan
            tables.append(
                pd.DataFrame(
                    {
                        "video_id": manifest["video_id"],
                        "split": split,
                        "model": model,
                        "modality": modality,
                        "regime": REGIMES[model],
                        "seed": seed,
                        "y_true": truth,
                        "y_pred": predicted,
                        "lower": predicted - reach,
                        "upper": predicted + reach,
                    }
                )
            )
    return pd.concat(tables, ignore_index=True)


def predict(model: str, truth: np.ndarray, split: np.ndarray, seed: int) -> np.ndarray:
    """Return the truth with the noise of a model, or the constant that it always says."""
    train = truth[split == "train"]
    if model.startswith("training_"):
        constant = train.mean() if model == "training_mean" else np.median(train)
        return np.full(len(truth), constant)
    by_split = BASELINE_NOISE.get(model)
    noise = [by_split[name] if by_split else NOISE[model] for name in split]
    rng = np.random.default_rng([seed, list(MODALITIES).index(model)])
    return truth + rng.normal(0, 1, len(truth)) * noise


@pytest.fixture(scope="session")
def leaderboard(predictions, manifest, splits, target, reporting) -> list[dict[str, Any]]:
    return nodes.build_leaderboard(predictions, manifest, splits, target, reporting, SEED)


@pytest.fixture(scope="session")
def comparisons(leaderboard, predictions, manifest, reporting) -> list[dict[str, Any]]:
    return nodes.compare_models(leaderboard, predictions, manifest, reporting, SEED)


@pytest.fixture(scope="session")
def verdict(leaderboard, comparisons, reporting) -> dict[str, Any]:
    return nodes.judge_ensemble(leaderboard, comparisons, reporting)


@pytest.fixture(scope="session")
def coverage() -> dict[str, Any]:
    """Split conformal intervals hold what they promise; the other method's are too narrow."""
    parts = [
        ("all clips", "all clips"),
        ("clips of the creator", "many"),
        ("clips of the creator", "few"),
    ]
    parts += [("duration", "low"), ("duration", "high"), ("audio", "without")]
    rows = [
        {
            "seed": seed,
            "method": method,
            "level": level,
            "group": group,
            "value": value,
            "n": 40,
            "creators": 10,
            "coverage": level - short - (0.02 if seed == SEED else 0.0),
            "low": level - short - 0.1,
            "high": min(1.0, level - short + 0.08),
            "mean_width": 3 * level,
        }
        for method, short in (("split", 0.0), ("quantile", 0.07))
        for level in (0.5, 0.8, 0.9)
        for group, value in parts
        for seed in (SEED, None)
    ]
    return {"method": "split", "level": 0.8, "calibration_clips": 16, "rows": rows}


@pytest.fixture(scope="session")
def novelty_evidence() -> dict[str, Any]:
    unlike = [
        {"alteration": "noise", "n": 40, "flagged": 1.0, "low": 1.0, "high": 1.0, "auroc": 1.0},
        {"alteration": "turned", "n": 40, "flagged": 0.35, "low": 0.2, "high": 0.5, "auroc": 0.81},
    ]
    return {
        "alpha": 0.05,
        "calibration_clips": 16,
        "can_flag": True,
        "false_alarms": {"n": 40, "flagged": 0.075, "low": float("nan"), "high": float("nan")},
        "unlike": unlike,
        "untried": ["audio"],
        "error": {
            "flagged": {"n": 3, "mean_absolute_error": 2.5},
            "others": {"n": 37, "mean_absolute_error": 0.9},
            "spearman_of_distance": 0.21,
        },
    }


@pytest.fixture(scope="session")
def split_sensitivity() -> list[dict[str, Any]]:
    levels = {"random": 0.5, "group": 0.3, "chronological": 0.4, "group_chronological": 0.2}
    return [
        {
            "strategy": strategy,
            "model": model,
            "regime": regime,
            "seed": redraw,
            "n_test": 24,
            "r2": level * factor + 0.04 * redraw,
            "spearman": level,
            "mse": 1.0,
            "skill": level * factor,
        }
        for model, regime, factor in (
            ("ridge", "content", 1.0),
            ("mlp", "content", 0.8),
            ("creator_history", "creator", -0.5),
        )
        for strategy, level in levels.items()
        for redraw in range(3)
    ]


@pytest.fixture(scope="session")
def ground_truth(manifest) -> dict[str, Any]:
    """What was planted: the sound says nothing, picture and sound together say everything."""
    log_views = np.log1p(manifest["views"].to_numpy(float))
    known = [
        {PICTURE: (y + log_views.mean()) / 2, SOUND: log_views.mean(), BOTH: y} for y in log_views
    ]
    return {
        "world": "mixed",
        "reachable_r2": {PICTURE: 0.75, SOUND: 0.0, BOTH: 1.0},
        "clips": {
            video_id: {"predictable_log_views": views}
            for video_id, views in zip(manifest["video_id"], known, strict=True)
        },
    }


@pytest.fixture(scope="session")
def rejected_videos() -> pd.DataFrame:
    rows = [
        ("gone", "posts", "no file", "no video file is named 'gone'"),
        ("lost", "posts", "no file", "no video file is named 'lost'"),
        ("<b>id", "probe", "unreadable", "<b>id.mp4: moov atom not found"),
    ]
    return pd.DataFrame(rows, columns=["video_id", "stage", "reason", "detail"])


@pytest.fixture(scope="session")
def visual_embeddings(manifest) -> Stage:
    return Stage(manifest["video_id"].tolist()[1:], failures=(("clip000", "unreadable", "cut"),))


@pytest.fixture(scope="session")
def audio_embeddings(manifest) -> Stage:
    silent = manifest.loc[~manifest["has_audio"], "video_id"]
    heard = manifest.loc[manifest["has_audio"], "video_id"]
    return Stage(heard.tolist(), absent=dict.fromkeys(silent, "no audio track"))


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def clip_explanations(predictions) -> dict[str, Any]:
    """What moved the answer about two held-out clips, as `explain_clips` says it."""
    test = predictions[predictions["split"] == "test"]["video_id"].unique()[:2].tolist()
    return {
        video_id: {
            "prediction": 9.0,
            "modalities": [
                {"modality": "visual", "effect": -0.4, "times": 0.67},
                {"modality": "audio", "effect": 0.9, "times": 2.46},
            ],
            "moments": [
                {"start_seconds": 0, "end_seconds": 1, "effect": 0.7, "times": 2.01},
                {"start_seconds": 1, "end_seconds": 1.6, "effect": -0.1, "times": 0.9},
            ],
            "pictures": [
                {"seconds": 0.4, "jpeg": "Zmlyc3Q="},
                {"seconds": 1.4, "jpeg": "c2Vjb25k"},
            ],
            "alike": [
                {"video_id": test[0], "distance": 0.4, "truth": 1234.0},
                {"video_id": "in no page", "distance": 0.5, "truth": None},
            ],
        }
        for video_id in test
    }


@pytest.fixture(scope="session")
def transcripts(manifest) -> pd.DataFrame:
    heard = manifest.loc[manifest["has_audio"], "video_id"]
    return pd.DataFrame({"video_id": heard, "text": HOSTILE})


@pytest.fixture(scope="session")
def videos(manifest, tmp_path_factory: pytest.TempPathFactory) -> VideoFiles:
    """One real clip under every id."""
    path = tmp_path_factory.mktemp("videos") / "clip.mp4"
    ffmpeg(*picture(1), *h264(), path)
    return VideoFiles(
        path.parent,
        [
            EncodedVideo(video_id=i, path=path, size_bytes=1, modified_ns=1)
            for i in manifest["video_id"]
        ],
    )


@pytest.fixture(scope="session")
def reconstructions() -> dict[str, Any]:
    original = np.random.default_rng(SEED).integers(0, 256, (2, 7, 3, 32, 18)).astype(np.uint8)
    return {
        "video_id": np.array(["clip080", "clip085"]),
        "original": original,
        "reconstruction": 255 - original,
        "length": np.array([7, 1]),
    }
