"""Baselines: what a model must beat before anyone believes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tiktok_virality.modalities import EVERYTHING, MODALITIES
from tiktok_virality.models import baseline_estimators
from tiktok_virality.models.roles import RIDGE_PREFIX, ROLES

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin

DESCRIPTION_NAME = "baselines.json"
TRUSTED_TYPES = (
    "numpy.dtype",
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.Interval",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
)

READS_ONE_GROUP: Mapping[str, str] = {
    "creator_history": "creator",
    "duration": "duration",
    "metadata_boosting": "metadata",
    "tfidf": "words",
}
"""What baselines read that read no embeddings; constants read nothing, all others everything."""

SEEDED = ("mlp",)
"""Baselines that another seed changes."""


def baseline_names(modalities: Sequence[str]) -> tuple[str, ...]:
    """Return every baseline, the constants among them, where these modalities take part."""
    fixed = [name for name, role in ROLES.items() if role in ("constant", "baseline")]
    return (*fixed, *(f"{RIDGE_PREFIX}{name}" for name in modalities))


def groups_read(baseline: str, modalities: Sequence[str]) -> tuple[str, ...]:
    """Return the groups of `PooledClips` that a baseline reads."""
    if ROLES.get(baseline) == "constant":
        return ()
    if baseline in READS_ONE_GROUP:
        return (READS_ONE_GROUP[baseline],)
    if baseline in ROLES:
        return tuple(modalities)
    return (baseline.removeprefix(RIDGE_PREFIX),)


def known_to(baseline: str) -> str:
    """Return what a baseline knows of a clip, whoever posts it: a modality, or all, or less."""
    (only,) = groups_read(baseline, (EVERYTHING,)) or ("none",)
    if only in ("duration", "metadata"):
        return "metadata"
    return only if only in (EVERYTHING, "words", *MODALITIES) else "none"


@dataclass(frozen=True, kw_only=True)
class PooledClips:
    """What the baselines know of clips, in one order.

    Attributes:
        duration: Logarithm of the seconds, [N, 1].
        modalities: Pooled tokens of each modality, [N, F] each; NaN for a clip that lacks it.
        metadata: What else is known before posting, [N, M]; NaN where it is not known.
        creator: Who posts, str [N]; ``None`` where nobody asks.
        words: All that is said and written in each, str [N]; ``None`` where nobody asks.
    """

    duration: np.ndarray
    modalities: Mapping[str, np.ndarray]
    metadata: np.ndarray | None = None
    creator: np.ndarray | None = None
    words: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.duration)

    def features(self, names: Sequence[str]) -> np.ndarray:
        """Return the named groups side by side, and which of them a clip has.

        Returns:
            Numbers [N, F]; of ``("creator",)`` and ``("words",)`` str [N, 1].
        """
        for name, texts in (("creator", self.creator), ("words", self.words)):
            if name in names:
                unknown = np.full(len(self), "")
                return np.asarray(unknown if texts is None else texts).astype(str)[:, None]
        groups = [self._group(name) for name in names]
        present = [~np.isnan(group).any(axis=1, keepdims=True) for group in groups]
        empty = np.empty((len(self), 0), np.float32)
        return np.concatenate([empty, *groups, *present], axis=1)

    def modality_columns(self, names: Sequence[str]) -> dict[str, slice]:
        """Return where `features` of these names holds each modality; nothing for other names."""
        columns, begin = {}, 0
        for name in (name for name in names if name in self.modalities):
            end = begin + self.modalities[name].shape[1]
            columns[name] = slice(begin, end)
            begin = end
        return columns

    def choose(self, places: np.ndarray) -> PooledClips:
        """Return some of the clips, in the order of their places."""
        return PooledClips(
            duration=self.duration[places],
            modalities={name: rows[places] for name, rows in self.modalities.items()},
            **{
                name: None if (values := getattr(self, name)) is None else values[places]
                for name in ("metadata", "creator", "words")
            },
        )

    def _group(self, name: str) -> np.ndarray:
        group = self.modalities.get(name, getattr(self, name, None))
        return np.full((len(self), 1), np.nan) if group is None else np.asarray(group)


@dataclass(frozen=True, kw_only=True)
class FittedBaseline:
    """A baseline after fitting.

    Attributes:
        name: As the leaderboard calls it.
        features: Groups of `PooledClips` that it reads.
        estimator: A fitted scikit-learn regressor of the target.
    """

    name: str
    features: tuple[str, ...]
    estimator: RegressorMixin

    @property
    def modality(self) -> str:
        """What it knows of a clip, whoever posts it."""
        return known_to(self.name)

    def predict(self, clips: PooledClips) -> np.ndarray:
        """Return predictions on the scale of the target, float64 [N]."""
        return np.asarray(self.estimator.predict(clips.features(self.features)), dtype=np.float64)

    def description(self) -> dict[str, Any]:
        """Return what people compare models by."""
        return {
            "estimator": " ".join(str(self.estimator).split()),
            "features": "+".join(self.features) or "none",
            "parameter_count": self.parameter_count,
        }

    @property
    def parameter_count(self) -> int:
        """Number of fitted weights after any reduction: coefficients, leaves, or clips by heart."""
        last = self.estimator
        while hasattr(last, "steps") or hasattr(last, "regressor_"):
            last = last[-1] if hasattr(last, "steps") else last.regressor_
        if hasattr(last, "_predictors"):
            return sum(tree.get_n_leaf_nodes() for stage in last._predictors for tree in stage)
        if hasattr(last, "n_samples_fit_"):
            return int(last.n_samples_fit_ * (last.n_features_in_ + 1))
        if hasattr(last, "coefs_"):
            return sum(np.size(part) for part in (*last.coefs_, *last.intercepts_))
        return int(np.size(getattr(last, "coef_", ()))) + 1


def fit_baselines(
    clips: PooledClips,
    y: np.ndarray,
    groups: np.ndarray,
    seed: int,
    names: Sequence[str] | None = None,
    like: Mapping[str, FittedBaseline] | None = None,
) -> dict[str, FittedBaseline]:
    """Fit every baseline, or some.

    Args:
        clips: What they learn from.
        y: What is true of each, on the scale of the target, [N].
        groups: Creator of each clip: folds that choose a setting never divide one.
        seed: Of the MLP and of the folds of the creators' history.
        names: Which; ``None`` for all.
        like: The same after other clips, whose settings are taken instead of being chosen.
    """
    known = {name: baseline.estimator for name, baseline in (like or {}).items()}
    wanted = baseline_names(tuple(clips.modalities)) if names is None else names
    return {name: fit_baseline(name, clips, y, groups, seed, known.get(name)) for name in wanted}


def fit_baseline(
    name: str,
    clips: PooledClips,
    y: np.ndarray,
    groups: np.ndarray,
    seed: int,
    like: Any = None,
) -> FittedBaseline:
    """Fit one baseline; see `fit_baselines`."""
    from threadpoolctl import threadpool_limits

    read = groups_read(name, tuple(clips.modalities))
    # Models this small lose by a second thread, much where cores are shared.
    with threadpool_limits(1):
        estimator = _fit(
            name, clips.features(read), y, groups, clips.modality_columns(read), seed, like
        )
    return FittedBaseline(name=name, features=read, estimator=estimator)


def _fit(
    name: str,
    features: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    modalities: Mapping[str, slice],
    seed: int,
    like: Any,
) -> Any:
    from sklearn.dummy import DummyRegressor
    from sklearn.linear_model import LinearRegression

    if name.startswith("training_"):
        return DummyRegressor(strategy=name.removeprefix("training_")).fit(features, y)
    if name == "creator_history":
        return baseline_estimators.fit_creator_history(features, y, seed, like)
    if name == "duration":
        return LinearRegression().fit(features, y)
    if name == "tfidf":
        return baseline_estimators.fit_tfidf(features, y, groups, like)
    if name.startswith("ridge"):
        return baseline_estimators.fit_ridge(features, y, groups, like)
    if name == "nearest":
        return baseline_estimators.fit_nearest(features, y, groups, modalities, like)
    if name == "mlp":
        return baseline_estimators.fit_mlp(features, y, groups, modalities, seed, like)
    return baseline_estimators.fit_boosting(features, y, groups, modalities, like=like)


def save_baselines(baselines: Mapping[str, FittedBaseline], folder: Path) -> None:
    """Write each estimator as a skops file, and the list of them as JSON."""
    import skops.io

    folder.mkdir(parents=True, exist_ok=True)
    for name, baseline in baselines.items():
        skops.io.dump(baseline.estimator, folder / f"{name}.skops")
    read = {name: list(baseline.features) for name, baseline in baselines.items()}
    (folder / DESCRIPTION_NAME).write_text(json.dumps(read))


def load_baselines(folder: Path) -> dict[str, FittedBaseline]:
    """Read what `save_baselines` wrote.

    Raises:
        skops.io.exceptions.UntrustedTypesFoundException: A file holds a type that no baseline has.
    """
    import skops.io

    read = json.loads((folder / DESCRIPTION_NAME).read_text())
    return {
        name: FittedBaseline(
            name=name,
            features=tuple(features),
            estimator=skops.io.load(folder / f"{name}.skops", trusted=TRUSTED_TYPES),
        )
        for name, features in read.items()
    }
