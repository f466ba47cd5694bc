"""Baselines: what a model must beat before anyone believes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tiktok_virality.models import baseline_estimators
from tiktok_virality.models.baseline_estimators import fit_ridge
from tiktok_virality.models.configs import PACE_SIZE
from tiktok_virality.schema import DataError

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin

__all__ = [
    "FEATURES_OF",
    "SEEDED",
    "FittedBaseline",
    "PooledClips",
    "fit_baseline",
    "fit_baselines",
    "fit_ridge",
    "load_baselines",
    "pool_tokens",
    "save_baselines",
]

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

EMBEDDINGS = ("visual", "audio")

FEATURES_OF: Mapping[str, tuple[str, ...]] = {
    "training_mean": (),
    "training_median": (),
    "creator_history": ("creator",),
    "duration": ("duration",),
    "metadata_boosting": ("metadata",),
    "ridge_visual": ("visual",),
    "ridge_audio": ("audio",),
    "ridge": EMBEDDINGS,
    "boosting_visual": ("visual",),
    "boosting_audio": ("audio",),
    "gradient_boosting": EMBEDDINGS,
    "mlp": EMBEDDINGS,
    "nearest_visual": ("appearance",),
}
MODALITY_OF: Mapping[tuple[str, ...], str] = {
    (): "none",
    ("creator",): "none",
    ("duration",): "metadata",
    ("metadata",): "metadata",
    ("visual",): "visual",
    ("appearance",): "visual",
    ("audio",): "audio",
    EMBEDDINGS: "visual+audio",
}
SEEDED = ("mlp",)
"""Baselines that another seed changes."""


@dataclass(frozen=True, kw_only=True)
class PooledClips:
    """What the baselines know of clips, in one order.

    Attributes:
        duration: Logarithm of the seconds, [N, 1].
        visual: Mean and deviation of the visual tokens, [N, 2 D]; NaN for a clip without any.
        audio: The same of the audio tokens.
        metadata: What else is known before posting, [N, M]; NaN where it is not known.
        creator: Who posts, str [N]; ``None`` where nobody asks.
    """

    duration: np.ndarray
    visual: np.ndarray
    audio: np.ndarray
    metadata: np.ndarray | None = None
    creator: np.ndarray | None = None

    @property
    def appearance(self) -> np.ndarray:
        """Mean state of the frames, [N, S]: how a clip looks, without pace, change or deviation."""
        states = (self.visual.shape[1] // 2 - PACE_SIZE) // 2
        return self.visual[:, PACE_SIZE : PACE_SIZE + states]

    def features(self, names: Sequence[str]) -> np.ndarray:
        """Return the named groups side by side, and which of them a clip has.

        Returns:
            float64 [N, F]; of ``("creator",)`` str [N, 1].
        """
        if "creator" in names:
            unknown = np.full(len(self.duration), "")
            creator = unknown if self.creator is None else self.creator
            return np.asarray(creator).astype(str)[:, None]
        groups = [self._group(name) for name in names]
        present = [~np.isnan(group).any(axis=1, keepdims=True) for group in groups]
        empty = np.empty((len(self.duration), 0))
        return np.concatenate([empty, *groups, *present], axis=1)

    def modality_columns(self, names: Sequence[str]) -> dict[str, slice]:
        """Return where `features` of these names holds each modality; nothing for other names."""
        columns, begin = {}, 0
        for name in names:
            if name in EMBEDDINGS:
                end = begin + self._group(name).shape[1]
                columns[name] = slice(begin, end)
                begin = end
        return columns

    def _group(self, name: str) -> np.ndarray:
        group = getattr(self, name)
        return np.full((len(self.duration), 1), np.nan) if group is None else np.asarray(group)


@dataclass(frozen=True, kw_only=True)
class FittedBaseline:
    """A baseline after fitting.

    Attributes:
        name: As the leaderboard calls it.
        estimator: A fitted scikit-learn regressor of the target.
    """

    name: str
    estimator: RegressorMixin

    @property
    def features(self) -> tuple[str, ...]:
        """Groups of `PooledClips` that it reads."""
        return FEATURES_OF[self.name]

    @property
    def modality(self) -> str:
        """What it knows of a clip, whoever posts it."""
        return MODALITY_OF[self.features]

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


def pool_tokens(tokens: Sequence[np.ndarray | None], size: int) -> np.ndarray:
    """Return mean and deviation over the tokens of each clip, [N, 2 size]; NaN where none are.

    Raises:
        DataError: Tokens have another size.
    """
    other = next((t.shape[1] for t in tokens if t is not None and t.shape[1] != size), None)
    if other is not None:
        raise DataError(
            f"Some clips have tokens of {other} numbers, and others of {size}: they were made by "
            "different versions or settings. Run `kedro run --pipeline visual` (or audio) first, "
            "in the same environment."
        )
    nothing = np.full(2 * size, np.nan)
    rows = [nothing if t is None else np.concatenate([t.mean(0), t.std(0)]) for t in tokens]
    return np.asarray(rows, dtype=np.float64).reshape(len(tokens), 2 * size)


def fit_baselines(
    clips: PooledClips, y: np.ndarray, groups: np.ndarray, seed: int
) -> dict[str, FittedBaseline]:
    """Fit every baseline.

    Args:
        clips: What they learn from.
        y: What is true of each, on the scale of the target, [N].
        groups: Creator of each clip: folds that choose a setting never divide one.
        seed: Of the MLP and of the folds of the creators' history.
    """
    return {name: fit_baseline(name, clips, y, groups, seed) for name in FEATURES_OF}


def fit_baseline(
    name: str, clips: PooledClips, y: np.ndarray, groups: np.ndarray, seed: int
) -> FittedBaseline:
    """Fit one baseline; see `fit_baselines`."""
    from threadpoolctl import threadpool_limits

    read = FEATURES_OF[name]
    # Models this small lose by a second thread, much where cores are shared.
    with threadpool_limits(1):
        estimator = _fit(name, clips.features(read), y, groups, clips.modality_columns(read), seed)
    return FittedBaseline(name=name, estimator=estimator)


def _fit(
    name: str,
    features: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    modalities: Mapping[str, slice],
    seed: int,
) -> Any:
    from sklearn.dummy import DummyRegressor
    from sklearn.linear_model import LinearRegression

    if name.startswith("training_"):
        return DummyRegressor(strategy=name.removeprefix("training_")).fit(features, y)
    if name == "creator_history":
        return baseline_estimators.fit_creator_history(features, y, seed)
    if name == "duration":
        return LinearRegression().fit(features, y)
    if name.startswith("ridge"):
        return fit_ridge(features, y, groups)
    if name.startswith("nearest"):
        return baseline_estimators.fit_nearest(features, y, groups)
    if name == "mlp":
        return baseline_estimators.fit_mlp(features, y, groups, modalities, seed)
    return baseline_estimators.fit_boosting(features, y, groups, modalities)


def save_baselines(baselines: Mapping[str, FittedBaseline], folder: Path) -> None:
    """Write each estimator as a skops file, and the list of them as JSON."""
    import skops.io

    folder.mkdir(parents=True, exist_ok=True)
    for name, baseline in baselines.items():
        skops.io.dump(baseline.estimator, folder / f"{name}.skops")
    (folder / DESCRIPTION_NAME).write_text(json.dumps(list(baselines)))


def load_baselines(folder: Path) -> dict[str, FittedBaseline]:
    """Read what `save_baselines` wrote.

    Raises:
        skops.io.exceptions.UntrustedTypesFoundException: A file holds a type that no baseline has.
    """
    import skops.io

    names = json.loads((folder / DESCRIPTION_NAME).read_text())
    return {
        name: FittedBaseline(
            name=name, estimator=skops.io.load(folder / f"{name}.skops", trusted=TRUSTED_TYPES)
        )
        for name in names
    }
