"""Ridge for many targets at once, its penalties chosen by folds of whole sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from sklearn.model_selection import GroupKFold

from tiktok_virality.models.baseline_estimators import FOLDS, RIDGE_ALPHAS, folds_of_creators
from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.pooling import POOLS
from tiktok_virality.models.readout import SecondOrderReadout

Folds = Sequence[tuple[np.ndarray, np.ndarray]]


def source_folds(sources: np.ndarray, seed: int) -> Folds:
    """Return rows to learn from and rows to be asked about, a source's on one side."""
    folds = GroupKFold(min(FOLDS, len(np.unique(sources))), shuffle=True, random_state=seed)
    return list(folds.split(sources, groups=sources))


def ridge_out_of_fold(
    known: np.ndarray, targets: np.ndarray, sources: np.ndarray, folds: Folds
) -> np.ndarray:
    """Predict each row from the other folds.

    The same model as the project's `fit_ridge` (features on one scale, NaN as the training mean,
    the same penalties, chosen by inner folds), with one decomposition for all targets.

    Args:
        known: [N, F].
        targets: [N, K].
        sources: Of each row.
        folds: Outer folds.

    Returns:
        float64 [N, K].
    """
    said = np.empty_like(targets)
    for learn, ask in folds:
        errors = np.zeros((len(RIDGE_ALPHAS), targets.shape[1]))
        for inner, held in folds_of_creators(sources[learn]):
            rows, other = learn[inner], learn[held]
            tried = _predictions(known[rows], targets[rows], known[other])
            errors += ((tried - targets[other]) ** 2).mean(axis=1)
        best = errors.argmin(axis=0)
        tried = _predictions(known[learn], targets[learn], known[ask])
        said[ask] = tried[best, :, np.arange(targets.shape[1])].T
    return said


def r_squared(targets: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Return R² of each column over all rows."""
    residual = ((targets - said) ** 2).sum(axis=0)
    return np.asarray(1 - residual / ((targets - targets.mean(axis=0)) ** 2).sum(axis=0))


def _predictions(known: np.ndarray, targets: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Return what each penalty predicts, [penalties, rows, targets]."""
    mean, scale = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
    scale[scale < 1e-9] = 1
    learn, ask = (np.nan_to_num((rows - mean) / scale) for rows in (known, asked))
    # As scikit-learn: missing values count as the mean before the scale is taken.
    again = learn.std(axis=0)
    again[again < 1e-9] = 1
    learn, ask = learn / again, ask / again
    middle = targets.mean(axis=0)
    values, vectors = np.linalg.eigh(learn @ learn.T)
    turned = vectors.T @ (targets - middle)
    across = ask @ learn.T @ vectors
    return (
        np.stack([across @ (turned / (values + a)[:, None].clip(1e-9)) for a in RIDGE_ALPHAS])
        + middle
    )


def readout_out_of_fold(
    pooled: Mapping[str, np.ndarray],
    parts: Mapping[str, Sequence[int]],
    targets: np.ndarray,
    sources: np.ndarray,
    folds: Folds,
) -> np.ndarray:
    """Predict each row from the other folds by the project's readout, which weighs modalities.

    Args:
        pooled: Pooled tokens by modality, [N, F] each; NaN where a piece has none.
        parts: How many numbers of a token belong together, by modality.
        targets: [N, K].
        sources: Of each row.
        folds: Outer folds.

    Returns:
        float64 [N, K].
    """
    said = np.empty_like(targets)
    sizes = {name: values.shape[1] // len(POOLS) for name, values in pooled.items()}
    for learn, ask in folds:
        taught, asked = (_batch(pooled, rows) for rows in (learn, ask))
        for column in range(targets.shape[1]):
            known = targets[learn, column]
            readout = SecondOrderReadout(sizes, parts)
            readout.fit(taught, (known - known.mean()) / known.std(), sources[learn])
            said[ask, column] = readout(asked).double().numpy() * known.std() + known.mean()
    return said


def _batch(pooled: Mapping[str, np.ndarray], rows: np.ndarray) -> TokenBatch:
    absent = {name: np.isnan(values[rows]).any(axis=1) for name, values in pooled.items()}
    return TokenBatch(
        tokens={},
        padding={name: torch.from_numpy(none)[:, None] for name, none in absent.items()},
        pooled={
            name: torch.from_numpy(np.nan_to_num(values[rows])).float()
            for name, values in pooled.items()
        },
    )
