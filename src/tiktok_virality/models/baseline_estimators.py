"""The regressors behind the baselines; what they leave open is chosen inside the training split.

Where another of the same kind is given, `like`, its setting is taken, and none is chosen.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tiktok_virality.models.configs import BoostingConfig

if TYPE_CHECKING:
    from sklearn.base import RegressorMixin
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

FOLDS: Final = 5
RIDGE_ALPHAS: Final = tuple(float(alpha) for alpha in np.logspace(0, 6, 13))
PRIOR_CLIPS: Final = tuple(float(clips) for clips in np.logspace(-1, 4, 16))
"""Strengths of the prior of a creator's history, in clips."""

CLIPS_PER_COMPONENT: Final = 4
UNKNOWN: Final = -10.0
"""Stands for metadata that are not known: no feature has this value, so trees can set it apart."""

TFIDF_ALPHAS: Final = (0.3, 1.0, 3.0, 10.0, 30.0)
WORD: Final = r"\w+"
NEIGHBOURS: Final = (1, 3, 10, 30, 100)

BOOSTING: Final = BoostingConfig()
COMPONENTS: Final = 30
"""Principal components of a modality that small models read, at most."""
BOOSTING_STEPS: Final = (10, 40, 160)
MLP_ALPHAS: Final = (10.0, 30.0, 100.0, 300.0, 1000.0)
MLP_WIDTH: Final = 32

Folds = Sequence[tuple[np.ndarray, np.ndarray]]


def folds_of_creators(groups: np.ndarray) -> Folds:
    """Return rows to learn from and to be asked about, a creator's on one side; none for one."""
    from sklearn.model_selection import GroupKFold

    folds = min(FOLDS, len(np.unique(groups)))
    return [] if folds < 2 else list(GroupKFold(folds).split(groups, groups=groups))


def fit_ridge(
    features: np.ndarray, target: np.ndarray, groups: np.ndarray, like: Any = None
) -> Pipeline:
    """Fit a ridge whose penalty is chosen by folds of whole creators of the training split.

    The penalty is chosen in the dual: what clips have in common, [N, N], is all that it needs, and
    there are many more features than clips.

    Args:
        features: [N, F]; NaN counts as the training mean.
        target: [N].
        groups: Creator of each row.
        like: Another, whose setting is taken.

    Returns:
        The steps ``simpleimputer``, ``standardscaler`` and ``ridge``, fitted.
    """
    from sklearn.impute import SimpleImputer
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    scaled = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    known = scaled.fit_transform(features)
    dual = KernelRidge(alpha=float(len(target)), kernel="precomputed")
    alike, centred, folds = known @ known.T, target - target.mean(), folds_of_creators(groups)
    chosen = _choose(dual, {"alpha": RIDGE_ALPHAS}, alike, centred, folds, like)
    ridge = Ridge(alpha=chosen.alpha).fit(known, target)
    return make_pipeline(*(step for _, step in scaled.steps), ridge)


def fit_tfidf(
    words: np.ndarray, target: np.ndarray, groups: np.ndarray, like: Any = None
) -> Pipeline:
    """Fit a ridge on the words of clips, single ones and pairs, the rarer the heavier.

    Words are hashed, so that none has to be there.

    Args:
        words: All that is said and written in a clip, str [N, 1].
        target: [N].
        groups: Creator of each row.
        like: Another, whose setting is taken.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    count = HashingVectorizer(ngram_range=(1, 2), alternate_sign=False, token_pattern=WORD)
    weighed = make_pipeline(
        ColumnTransformer([("words", count, 0)]), TfidfTransformer(sublinear_tf=True)
    )
    known = weighed.fit_transform(words)
    folds = folds_of_creators(groups)
    ridge = _choose(Ridge(), {"alpha": TFIDF_ALPHAS}, known, target, folds, like)
    return make_pipeline(*(step for _, step in weighed.steps), ridge)


def fit_creator_history(
    creators: np.ndarray, target: np.ndarray, seed: int, like: Any = None
) -> RegressorMixin:
    """Fit the mean of a creator's training clips, drawn towards the mean of all.

    With n clips of mean m and a prior worth k clips of the overall mean M, a creator is given
    (n m + k M) / (n + k), and one without training clips M: the best linear unbiased prediction of
    a random effect (Robinson 1991, That BLUP is a good thing), which is a ridge over indicators of
    the creators. k is chosen by folds of clips, so that creators stand on both sides.

    Args:
        creators: Their names, str [N, 1].
        target: [N].
        seed: Of the folds.
        like: Another, whose setting is taken.
    """
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    ridge = Ridge(fit_intercept=False, solver="sparse_cg", tol=1e-10)
    effects = make_pipeline(OneHotEncoder(handle_unknown="ignore"), ridge)
    model = TransformedTargetRegressor(regressor=effects, transformer=StandardScaler())
    count = min(FOLDS, len(target))
    shuffled = KFold(count, shuffle=True, random_state=seed) if count > 1 else None
    folds = list(shuffled.split(creators)) if shuffled else []
    return _choose(model, {"regressor__ridge__alpha": PRIOR_CLIPS}, creators, target, folds, like)


def fit_nearest(
    features: np.ndarray,
    target: np.ndarray,
    groups: np.ndarray,
    modalities: Mapping[str, slice],
    like: Any = None,
) -> Pipeline:
    """Fit the mean of the clips that are most alike, nearer ones counting more.

    It knows nothing but clips by heart, so it is good exactly where a test clip has siblings in
    the training split. How many it asks is chosen by folds of whole creators.

    Args:
        features: [N, F]; NaN where a clip lacks a modality.
        target: [N].
        groups: Creator of each row.
        modalities: Columns of the embeddings, by modality.
        like: Another, whose setting is taken.
    """
    from sklearn.neighbors import KNeighborsRegressor
    from sklearn.pipeline import make_pipeline

    folds = folds_of_creators(groups)
    most = min([len(target), *(len(train) for train, _ in folds)])
    nearest = KNeighborsRegressor(min(NEIGHBOURS[-1], most), weights="distance", algorithm="brute")
    asked = [count for count in NEIGHBOURS if count <= most]
    reduction = fit_reduction(features, modalities, COMPONENTS)
    reduced = reduction.transform(features)
    chosen = _choose(nearest, {"n_neighbors": asked}, reduced, target, folds, like)
    return make_pipeline(reduction, chosen)


def fit_boosting(
    features: np.ndarray,
    target: np.ndarray,
    groups: np.ndarray,
    modalities: Mapping[str, slice],
    config: BoostingConfig = BOOSTING,
    like: Any = None,
) -> RegressorMixin:
    """Fit gradient boosting; as configured, its trees are counted by folds of whole creators.

    Each modality is reduced to its principal components first: on 417 clips with 1,024 features of
    sound, trees on the features themselves took ten times as long and found less.

    Args:
        features: [N, F]; NaN is a value of its own, and in modalities their mean.
        target: [N].
        groups: Creator of each row.
        modalities: Columns of the embeddings, by modality; none for metadata.
        config: Size, weight and number of the trees, and what they read.
        like: Another, whose setting is taken.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline

    boosting = HistGradientBoostingRegressor(
        learning_rate=config.learning_rate,
        max_leaf_nodes=config.max_leaf_nodes,
        min_samples_leaf=min(config.min_samples_leaf, max(1, len(target) // 10)),
        l2_regularization=config.l2_regularization,
        early_stopping=False,
        random_state=0,
    )
    # The trees would take NaN as it is, but not a column that holds nothing else.
    filled = SimpleImputer(strategy="constant", fill_value=UNKNOWN, keep_empty_features=True)
    if modalities and config.components is not None:
        known = fit_reduction(features, modalities, config.components)
    else:
        known = filled.fit(features)
    read = known.transform(features)
    if config.max_iter is None:
        folds = folds_of_creators(groups)
        chosen = _choose(boosting, {"max_iter": BOOSTING_STEPS}, read, target, folds, like)
    else:
        chosen = boosting.set_params(max_iter=config.max_iter).fit(read, target)
    return Pipeline([("known", known), ("boosting", chosen)])


def fit_mlp(
    features: np.ndarray,
    target: np.ndarray,
    groups: np.ndarray,
    modalities: Mapping[str, slice],
    seed: int,
    like: Any = None,
) -> RegressorMixin:
    """Fit a small MLP on principal components; its weight decay is chosen by folds of creators.

    Args:
        features: [N, F].
        target: [N].
        groups: Creator of each row.
        modalities: Columns of the embeddings, by modality.
        seed: Of the first weights.
        like: Another, whose setting is taken.
    """
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    network = MLPRegressor(
        hidden_layer_sizes=(MLP_WIDTH,), solver="lbfgs", max_iter=200, random_state=seed
    )
    model = TransformedTargetRegressor(regressor=network, transformer=StandardScaler())
    reduction = fit_reduction(features, modalities, COMPONENTS)
    reduced = reduction.transform(features)
    folds = folds_of_creators(groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # max_iter is a bound, not a goal
        chosen = _choose(model, {"regressor__alpha": MLP_ALPHAS}, reduced, target, folds, like)
    return Pipeline([("reduction", reduction), ("mlp", chosen)])


def fit_reduction(
    features: np.ndarray, modalities: Mapping[str, slice], most: int
) -> ColumnTransformer:
    """Fit the principal components of each modality.

    Needs no target. A clip without a modality has the components zero; a modality that no clip has
    is left out; other columns pass.

    Args:
        features: [N, F]; NaN where a clip lacks a modality.
        modalities: Columns of the embeddings, by modality.
        most: Components of each modality, at most; fewer where clips are few.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.decomposition import PCA
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    parts: list[tuple[str, Any, slice]] = []
    for name, columns in modalities.items():
        if np.isnan(features[:, columns]).all():
            parts.append((name, "drop", columns))
            continue
        width = columns.stop - columns.start
        components = max(1, min(most, width, len(features) // CLIPS_PER_COMPONENT))
        reduce = make_pipeline(
            SimpleImputer(keep_empty_features=True),
            StandardScaler(),
            PCA(components, svd_solver="randomized", random_state=0),
        )
        parts.append((name, reduce, columns))
    return ColumnTransformer(parts, remainder="passthrough").fit(features)


def _choose(
    model: Any,
    grid: Mapping[str, Sequence[float]],
    features: np.ndarray,
    target: np.ndarray,
    folds: Folds,
    like: Any,
) -> Any:
    """Return the model of the grid with the least squared error over the folds, fitted on all.

    With another, `like`, whose last step is such a model: the one with its settings.
    """
    from sklearn.model_selection import GridSearchCV

    if like is not None:
        settings = (like[-1] if hasattr(like, "steps") else like).get_params()
        return model.set_params(**{name: settings[name] for name in grid}).fit(features, target)
    if not folds:
        return model.fit(features, target)
    search = GridSearchCV(
        model, dict(grid), cv=folds, scoring="neg_mean_squared_error", error_score="raise"
    )
    return search.fit(features, target).best_estimator_
