"""A world with known results, made to order: what each model reaches, what it gains."""

from __future__ import annotations

from typing import Any

import pytest

from tiktok_virality.demo.senses import BOTH, PICTURE, SOUND
from tiktok_virality.models.baselines import baseline_names, known_to
from tiktok_virality.models.roles import ROLES, regime_of, role_of
from tiktok_virality.pipelines.truth.checks import checks_of
from tiktok_virality.pipelines.truth.findings import Covered, Gain, Leak, WorldFindings
from tiktok_virality.pipelines.truth.scores import (
    VARIANT,
    gains_of_ensemble,
    held_out_scores,
    reachable_r2,
)

SEED = 7
READ = ("visual", "audio")
"""Modalities that take part."""

MODELS = (*ROLES, *READ, *(f"ridge_{name}" for name in READ))
KNOWN = {
    **{name: known_to(name) for name in baseline_names(READ)},
    **{name: name for name in READ},
    "planted_picture": PICTURE,
    "planted_sound": SOUND,
    "planted_both": BOTH,
    "planted_boosting": BOTH,
}
PLANTED = {
    "planted_picture": 0.4,
    "planted_sound": 0.4,
    "planted_both": 0.8,
    "planted_boosting": 0.7,
}
REPEATED = {"mlp", "visual", "audio", "early_fusion", "ensemble"}


def leaderboard(reached: dict[str, float], planted: dict[str, float] | None = None) -> list[dict]:
    """Rows of the test split: R² 0 but where said otherwise, 0.1 up and down, three seeds."""
    values = dict.fromkeys(MODELS, 0.0) | PLANTED | (planted or {}) | reached
    return [
        {
            "model": model,
            "modality": KNOWN.get(model, "all"),
            "regime": regime_of(model),
            "role": role_of(model),
            "seed": SEED + repeat,
            "split": "test",
            "n": 100,
            "r2": r2 - 0.02 * repeat,
            "r2_low": r2 - 0.1,
            "r2_high": r2 + 0.1,
            "skill_mean": r2 + 0.01,
            "skill_mean_low": r2 - 0.09,
            "skill_mean_high": r2 + 0.11,
            "spearman": None if model.startswith("training") else r2,
        }
        for model, r2 in values.items()
        for repeat in range(3 if model in REPEATED else 1)
    ]


def comparisons(gains: dict[str, float] | None = None) -> list[dict[str, Any]]:
    """Rows of the ensemble beside every content model: a gain of 1 but where said otherwise."""
    references = [name for name in MODELS if name != "ensemble" and regime_of(name) == "content"]
    return [
        {
            "reference": name,
            "role": role_of(name),
            "regime": "content",
            "n": 100,
            "clusters": 20,
            "seed": SEED + repeat,
            "mse_gain": (gain := (gains or {}).get(name, 1.0)) + 0.1 * repeat,
            "low": gain - 0.2,
            "high": gain + 0.2,
            "p_adjusted": 0.01 if gain > 0.2 else 0.4,
            "outcome": "better" if gain > 0.2 else "not distinguishable",
        }
        for repeat in range(3)
        for name in references
    ]


def findings(
    world: str,
    reached: dict[str, float] | None = None,
    planted: dict[str, float] | None = None,
    gains: dict[str, float] | None = None,
    coverage: tuple[float | None, ...] = (0.5, 0.8, 0.9),
    leaks: tuple[Leak, ...] = (),
) -> WorldFindings:
    scores = held_out_scores(leaderboard(reached or {}, planted), world)
    all_gains: tuple[Gain, ...] = gains_of_ensemble(comparisons(gains))
    found = WorldFindings(
        world=world,
        clips=100,
        creators=20,
        reachable=reachable_r2(scores),
        scores=scores,
        gains=tuple(gain for gain in all_gains if gain.role != VARIANT),
        variants=tuple(gain for gain in all_gains if gain.role == VARIANT),
        coverage=tuple(
            Covered(level=level, coverage=held)
            for level, held in zip((0.5, 0.8, 0.9), coverage, strict=True)
        ),
        leaks=leaks,
        checks=(),
    )
    return found.model_copy(update={"checks": checks_of(found)})


@pytest.fixture
def additive() -> WorldFindings:
    """The ensemble finds nine tenths of what it can."""
    return findings("additive", {"ensemble": 0.76, "visual": 0.35, "audio": 0.3})


def drawn_worlds() -> dict[str, Any]:
    """Findings of a lottery of two worlds."""
    models = {"ensemble": (0.7, 0.5), "ridge": (0.6, 0.4), "visual": (0.2, -0.9)}
    worlds = [
        {
            "world": f"lottery_{number:02d}",
            "rule": "zoom (linear, 40 %), pitch (hump, 35 %)",
            "reachable": 0.75,
            "shares": {name: shares[number] for name, shares in models.items()},
            "modalities": {"ensemble": "all", "ridge": "all", "visual": "visual"},
            "found": [[["zoom"], 0.8], [["pitch"], 0.3]],
            "cost_of_noise": 0.01,
        }
        for number in range(2)
    ]
    means = [
        {
            "model": name,
            "role": role_of(name),
            "modality": worlds[0]["modalities"][name],
            "mean": sum(shares) / 2,
            "low": sum(shares) / 2 - 0.1,
            "high": sum(shares) / 2 + 0.1,
            "gain": 0.6 - sum(shares) / 2,
            "gain_low": 0.55 - sum(shares) / 2,
            "gain_high": 0.65 - sum(shares) / 2,
        }
        for name, shares in models.items()
    ]
    factors = [
        {"factor": "zoom", "title": "camera zoom", "sense": "picture", "worlds": 2, "slope": 0.8},
        {"factor": "pitch", "title": "pitch", "sense": "sound", "worlds": 2, "slope": 0.3},
    ]
    return {
        "worlds": worlds,
        "models": means,
        "factors": factors,
        "cost_of_noise": [0.01, 0.0, 0.02],
    }
