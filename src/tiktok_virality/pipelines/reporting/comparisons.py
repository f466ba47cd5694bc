"""The ensemble beside every other model of its regime, clip by clip, for every seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from tiktok_virality.evaluation.intervals import ClusterJackknife, Comparison
from tiktok_virality.evaluation.significance import ClusterSignFlips, holm
from tiktok_virality.models.roles import order_of, role_of
from tiktok_virality.schema import DataError

CHALLENGER: Final = "ensemble"
TO_BEAT: Final = ("constant", "baseline")
COMPARED_WITH: Final = ("constant", "baseline", "modality", "variant", "published")


@dataclass(frozen=True, kw_only=True)
class PairedTests:
    """How two models are compared on the same clips.

    Attributes:
        clusters: What belongs together, by video.
        jackknife: Of the intervals.
        sign_flips: Of the p-values.
    """

    clusters: Mapping[str, str]
    jackknife: ClusterJackknife
    sign_flips: ClusterSignFlips

    @property
    def level(self) -> float:
        """The largest adjusted p-value that counts as more than chance."""
        return 1 - self.jackknife.confidence

    def compare_all(
        self, test: pd.DataFrame, seeds: Sequence[int], to_beat: str
    ) -> list[dict[str, Any]]:
        """Compare the ensemble with every model of its regime.

        One comparison is fixed before a test clip is looked at: that with the model to beat. It is
        one question, and its p-value stands as it is. All the others are what one might find by
        looking: their p-values are adjusted for each other.

        Args:
            test: ``video_id``, ``model``, ``regime``, ``seed``, ``y_true`` and ``y_pred`` of the
                test split.
            seeds: The main seed first. A model that has no row for a seed does not depend on it:
                its rows of the main seed are taken.
            to_beat: The model that is compared with whatever the others say.

        Returns:
            A row per seed and reference, the main seed first; see `compare_models`.

        Raises:
            DataError: The ensemble, or everything to compare it with, is missing, or a model has
                not predicted a clip.
        """
        return [row for seed in seeds for row in self._of_seed(test, seeds[0], seed, to_beat)]

    def _of_seed(
        self, test: pd.DataFrame, main_seed: int, seed: int, to_beat: str
    ) -> list[dict[str, Any]]:
        rows = _rows_of_seed(test, main_seed, seed)
        by_model = {str(name): part.set_index("video_id") for name, part in rows.groupby("model")}
        if CHALLENGER not in by_model:
            raise DataError(
                f"No test predictions of {CHALLENGER!r} with the seed {seed}: there is nothing to "
                "judge. Run the modeling pipeline again: `kedro run --pipeline modeling`."
            )
        challenger = by_model[CHALLENGER]
        references = _references(by_model, str(challenger["regime"].iloc[0]))
        compared = [self._beside(challenger, by_model[name], name) for name in references]
        others = [row for row in compared if row["reference"] != to_beat]
        adjusted = dict(
            zip(
                [row["reference"] for row in others],
                holm([row["p_value"] for row in others]),
                strict=True,
            )
        )
        return [
            self._judged(
                row
                | {
                    "seed": seed,
                    "planned": row["reference"] == to_beat,
                    "p_adjusted": adjusted.get(row["reference"], row["p_value"]),
                }
            )
            for row in compared
        ]

    def _beside(
        self, challenger: pd.DataFrame, reference: pd.DataFrame, name: str
    ) -> dict[str, Any]:
        missing = challenger.index.difference(reference.index)
        if len(missing):
            raise DataError(
                f"{name!r} has not predicted {len(missing)} of the test clips that the ensemble "
                f"has, such as {missing[0]!r}: they cannot be compared. Run the modeling pipeline "
                "again: `kedro run --pipeline modeling`."
            )
        groups = [self.clusters[video_id] for video_id in challenger.index]
        arrays = (
            challenger["y_true"],
            challenger["y_pred"],
            reference.loc[challenger.index, "y_pred"],
            groups,
        )
        return {
            "reference": name,
            "role": role_of(name),
            "regime": str(reference["regime"].iloc[0]),
            "n": len(challenger),
            "clusters": len(set(groups)),
            **_numbers(self.jackknife.compare(*arrays)),
            "p_value": self.sign_flips.p_value(*arrays),
        }

    def _judged(self, row: dict[str, Any]) -> dict[str, Any]:
        """Add what may be claimed: only what the adjusted test says, and every interval too.

        Where creators are too few for an interval, the test decides alone.
        """
        significant = bool(row["p_adjusted"] <= self.level)
        ends = [row[name] for name in ("low", "high", "skill_low", "skill_high")]
        known = [end for end in ends if not math.isnan(end)] or [row["mse_gain"]]
        outcome = "not distinguishable"
        if significant and min(known) > 0:
            outcome = "better"
        elif significant and max(known) < 0:
            outcome = "worse"
        return row | {"significant": significant, "outcome": outcome}


def best_baseline(leaderboard: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the row of the content-only baseline or constant that is best on validation.

    The test split is not asked: the luckiest of many baselines would be chosen.

    Args:
        leaderboard: Its rows; those of the main seed come first for each model.

    Raises:
        DataError: There is no such row.
    """
    ours = [row for row in leaderboard if row["model"] == CHALLENGER]
    candidates: dict[str, Mapping[str, Any]] = {}
    for row in leaderboard:
        eligible = row["role"] in TO_BEAT and any(row["regime"] == our["regime"] for our in ours)
        if row["split"] == "validation" and eligible:
            candidates.setdefault(row["model"], row)
    if not candidates:
        raise DataError(
            "The leaderboard has no baseline of the ensemble's regime on the validation split: "
            "there is nothing to beat. Run the modeling pipeline again."
        )
    return min(candidates.values(), key=lambda row: row["mse"])


def seeds_of(predictions: pd.DataFrame, main_seed: int) -> list[int]:
    """Return the seeds of the ensemble, the main seed first.

    Raises:
        DataError: The ensemble was not trained with the main seed.
    """
    ensemble = predictions[predictions["model"] == CHALLENGER]
    seeds = sorted({int(seed) for seed in ensemble["seed"]})
    if main_seed not in seeds:
        found = f"only with {', '.join(map(str, seeds))}" if seeds else "with no seed at all"
        raise DataError(
            f"There are no predictions of {CHALLENGER!r} with the seed {main_seed} of this run, "
            f"{found}. Run the modeling pipeline again: `kedro run --pipeline modeling`."
        )
    return [main_seed, *(seed for seed in seeds if seed != main_seed)]


def _rows_of_seed(test: pd.DataFrame, main_seed: int, seed: int) -> pd.DataFrame:
    repeated = test[test["seed"] == seed]
    rest = test[(test["seed"] == main_seed) & ~test["model"].isin(repeated["model"])]
    return pd.concat([repeated, rest])


def _references(by_model: Mapping[str, pd.DataFrame], regime: str) -> list[str]:
    """Return what the ensemble is compared with, in the order of `order_of`."""
    names = [
        name
        for name in sorted(by_model, key=order_of)
        if role_of(name) in COMPARED_WITH and by_model[name]["regime"].iloc[0] == regime
    ]
    if not names:
        raise DataError(
            f"No model of the regime {regime!r} but the ensemble has test predictions: there is "
            "nothing to compare. Run the modeling pipeline again: `kedro run --pipeline modeling`."
        )
    return names


def _numbers(compared: Comparison) -> dict[str, float]:
    return {
        "mse_gain": compared.gain,
        "low": compared.gain_interval.low,
        "high": compared.gain_interval.high,
        "skill": compared.skill,
        "skill_low": compared.skill_interval.low,
        "skill_high": compared.skill_interval.high,
    }
