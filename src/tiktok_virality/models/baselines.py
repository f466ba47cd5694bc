"""Baselines: what a model must beat before anyone believes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin
    from sklearn.pipeline import Pipeline

RIDGE_ALPHAS = tuple(float(alpha) for alpha in np.logspace(0, 6, 13))
FOLDS = 5
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

FEATURES_OF: Mapping[str, tuple[str, ...]] = {
    "training_mean": (),
    "training_median": (),
    "duration": ("duration",),
    "ridge_visual": ("visual",),
    "ridge_audio": ("audio",),
    "ridge": ("visual", "audio"),
    "gradient_boosting": ("visual", "audio"),
}
MODALITY_OF: Mapping[tuple[str, ...], str] = {
    (): "none",
    ("duration",): "metadata",
    ("visual",): "visual",
    ("audio",): "audio",
    ("visual", "audio"): "visual+audio",
}


@dataclass(frozen=True, kw_only=True)
class PooledClips:
    """What the baselines know of clips, in one order.

    Attributes:
        duration: Logarithm of the seconds, [N, 1].
        visual: Mean and deviation of the visual tokens, [N, 2 D]; NaN for a clip without any.
        audio: The same of the audio tokens.
    """

    duration: np.ndarray
    visual: np.ndarray
    audio: np.ndarray

    def features(self, names: Sequence[str]) -> np.ndarray:
        """Return the named groups side by side, float64 [N, F], and which of them a clip has."""
        groups = [getattr(self, name) for name in names]
        present = [~np.isnan(group).any(axis=1, keepdims=True) for group in groups]
        empty = np.empty((len(self.duration), 0))
        return np.concatenate([empty, *groups, *present], axis=1)


@dataclass(frozen=True, kw_only=True)
class FittedBaseline:
    """A baseline after fitting.

    Attributes:
        name: As the leaderboard calls it.
        estimator: A fitted scikit-learn regressor of log1p(views).
    """

    name: str
    estimator: RegressorMixin

    @property
    def features(self) -> tuple[str, ...]:
        """Groups of `PooledClips` that it reads."""
        return FEATURES_OF[self.name]

    @property
    def modality(self) -> str:
        """What it knows of a clip."""
        return MODALITY_OF[self.features]

    def predict(self, clips: PooledClips) -> np.ndarray:
        """Return predicted log1p(views), float64 [N]."""
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
        """Number of fitted weights: coefficients, or leaves of trees."""
        last = self.estimator[-1] if hasattr(self.estimator, "steps") else self.estimator
        if hasattr(last, "_predictors"):
            return sum(tree.get_n_leaf_nodes() for stage in last._predictors for tree in stage)
        return int(np.size(getattr(last, "coef_", ()))) + 1


def pool_tokens(tokens: Sequence[np.ndarray | None], size: int) -> np.ndarray:
    """Return mean and deviation over the tokens of each clip, [N, 2 size]; NaN where none are."""
    nothing = np.full(2 * size, np.nan)
    rows = [nothing if t is None else np.concatenate([t.mean(0), t.std(0)]) for t in tokens]
    return np.asarray(rows, dtype=np.float64).reshape(len(tokens), 2 * size)


def fit_baselines(
    clips: PooledClips, log_views: np.ndarray, groups: np.ndarray, seed: int
) -> dict[str, FittedBaseline]:
    """Fit every baseline on the training split.

    Args:
        clips: The training clips.
        log_views: log1p(views), [N].
        groups: Creator of each clip: folds that choose a ridge penalty never divide one.
        seed: Of the gradient boosting.
    """
    fitted = {}
    for name, read in FEATURES_OF.items():
        features = clips.features(read)
        if name.startswith("ridge"):
            estimator = fit_ridge(features, log_views, groups)
        else:
            estimator = _estimator(name, seed).fit(features, log_views)
        fitted[name] = FittedBaseline(name=name, estimator=estimator)
    return fitted


def _estimator(name: str, seed: int) -> Any:
    from sklearn.dummy import DummyRegressor
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.linear_model import LinearRegression

    if name.startswith("training_"):
        return DummyRegressor(strategy=name.removeprefix("training_"))
    if name == "duration":
        return LinearRegression()
    return HistGradientBoostingRegressor(
        max_iter=150, learning_rate=0.05, min_samples_leaf=5, random_state=seed
    )


def fit_ridge(features: np.ndarray, target: np.ndarray, groups: np.ndarray) -> Pipeline:
    """Fit a ridge whose penalty is chosen by folds of whole creators of the training split.

    Args:
        features: [N, F]; NaN counts as the training mean.
        target: [N].
        groups: Creator of each row.

    Returns:
        The steps ``simpleimputer``, ``standardscaler`` and ``ridge``, fitted.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    imputer = SimpleImputer(keep_empty_features=True)
    model = make_pipeline(imputer, StandardScaler(), Ridge(alpha=float(len(target))))
    folds = min(FOLDS, len(np.unique(groups)))
    if folds < 2:
        return model.fit(features, target)
    divided = list(GroupKFold(folds).split(target, groups=groups))
    search = GridSearchCV(
        model, {"ridge__alpha": RIDGE_ALPHAS}, cv=divided, scoring="neg_mean_squared_error"
    )
    return search.fit(features, target).best_estimator_


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
