"""Is a clip unlike those that the models learned from? A distance, and a p-value for it.

The distance is the local outlier factor (Breunig et al., 2000, "LOF: Identifying Density-Based
Local Outliers"): how much sparser the training clips are around a clip than around its neighbours.
About 1 is usual. It is a ratio, so picture and sound can be compared: the larger of the two counts.

The p-value is conformal (Bates et al., 2023, "Testing for outliers with conformal p-values"): the
share of calibration clips that are at least as far away. Clips like those of the calibration split
have one of at most 0.05 in at most 5 % of cases, whatever the distance is worth; what the distance
is worth shows in how often it finds clips that are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Embeddings = Mapping[str, Floats]
"""Pooled embeddings of clips by modality, [N, D]; NaN in the rows of clips that lack it."""

FEWEST_CLIPS: Final = 3
"""A modality of fewer training clips says nothing about what is usual."""

TOGETHER: Final = 256
"""Clips whose distances to all training clips are in memory at once."""

TRAINING_PREFIX: Final = "training/"
SCALE_PREFIX: Final = "scale/"
REACH_PREFIX: Final = "reach/"
DENSITY_PREFIX: Final = "density/"
IDS_PREFIX: Final = "video_id/"
"""An archive forgets by it: it says whose the rows are that end in the same modality."""


@dataclass(frozen=True, kw_only=True)
class Neighbourhood:
    """How close together the training clips of a modality lie.

    Attributes:
        scale: Mean and deviation of each number, [2, D].
        reach: Distance of each training clip to the last of its neighbours, standardised, [N].
        density: How dense it is around each: one over the mean distance at which its neighbours
            can be reached, [N].
    """

    scale: Floats
    reach: Floats
    density: Floats

    @classmethod
    def of(cls, rows: Floats, neighbours: int) -> Neighbourhood:
        """Measure it.

        Args:
            rows: Of the training clips, [N, D].
            neighbours: Of each clip, at most N - 1.
        """
        from sklearn.neighbors import NearestNeighbors
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(rows.astype(np.float64))
        count = min(neighbours, len(rows) - 1)
        search = NearestNeighbors(n_neighbors=count).fit(scaler.transform(rows))
        apart, nearest = search.kneighbors()  # of each, without itself
        reach = apart[:, -1]
        return cls(
            scale=np.stack([scaler.mean_, scaler.scale_]),
            reach=reach,
            density=_density(apart, reach[nearest]),
        )

    def standardise(self, rows: Floats) -> Floats:
        """Return rows on the scale of the training clips, [N, D]."""
        return (rows - self.scale[0]) / self.scale[1]

    def outlier_factors(self, training: Floats, rows: Floats, neighbours: int) -> Floats:
        """Return how much sparser the training clips are around clips than around neighbours.

        Args:
            training: Of the training clips, [N, D].
            rows: Of other clips, [M, D].
            neighbours: That a clip is compared with.

        Returns:
            [M]; what `sklearn.neighbors.LocalOutlierFactor` says of new clips.
        """
        there = self.standardise(training)
        squares = (there**2).sum(axis=1)
        count = min(neighbours, len(training) - 1)
        factors = [np.empty(0)]
        for start in range(0, len(rows), TOGETHER):
            here = self.standardise(rows[start : start + TOGETHER])
            squared = (here**2).sum(axis=1)[:, None] - 2 * here @ there.T + squares  # [m, N]
            nearest = np.argpartition(squared, count - 1, axis=1)[:, :count]
            apart = np.sqrt(np.maximum(np.take_along_axis(squared, nearest, axis=1), 0))
            own = _density(apart, self.reach[nearest])
            factors.append(self.density[nearest].mean(axis=1) / own)
        return np.concatenate(factors)


@dataclass(frozen=True, kw_only=True)
class NoveltyModel:
    """What is needed to say how unlike a clip is: plain arrays, no fitted objects.

    Attributes:
        training: Pooled embeddings of the training clips that have the modality, by modality.
        neighbours: Training clips that a clip is compared with.
        calibration: Distances of the calibration clips, in ascending order, [M].
        ids: Of the training clips, by modality, str [N] each; nothing where nobody named them.
        measured: How close together the training clips lie, by modality, where it is known: it
            takes longer with every clip, and scoring should not wait for it.
    """

    training: Embeddings
    neighbours: int
    calibration: Floats = field(default_factory=lambda: np.empty(0))
    ids: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    measured: Mapping[str, Neighbourhood] = field(default_factory=dict)

    def distances(self, clips: Embeddings) -> Floats:
        """Return how unlike each clip is, [N]: about 1 and below is usual; NaN without a modality.

        For clips outside the training split: a training clip is its own nearest neighbour.
        """
        of_modalities = [self._distances(name, clips[name]) for name in self.training]
        return np.fmax.reduce(of_modalities)

    def p_values(self, distances: Floats) -> Floats:
        """Return the share of calibration clips that are as far away, [N]; NaN for no distance.

        The clip itself counts as one of them, which makes the share a valid p-value.
        """
        as_far = len(self.calibration) - np.searchsorted(self.calibration, distances, side="left")
        shares = (1 + as_far) / (1 + len(self.calibration))
        return np.where(np.isnan(distances), np.nan, shares)

    def nearest(self, clip: Mapping[str, Floats], count: int) -> dict[str, float]:
        """Return the training clips that are most alike, and how far away they are, nearest first.

        The distance is that of standardised embeddings, as a share of the usual distance between
        the clip and the training clips, averaged over the modalities that both have: 1 is usual.

        Args:
            clip: Pooled embeddings of one clip by modality, [D] each; NaN where it lacks one.
            count: How many.
        """
        distances: dict[str, list[float]] = {}
        for name, ids in self.ids.items():
            if np.isnan(clip[name]).any():
                continue
            place = self._neighbourhoods[name]
            apart = place.standardise(self.training[name]) - place.standardise(clip[name][None])
            lengths = np.linalg.norm(apart, axis=1)
            usual = float(np.median(lengths)) or 1.0
            for video_id, length in zip(ids.tolist(), lengths / usual, strict=True):
                distances.setdefault(video_id, []).append(float(length))
        means = {video_id: float(np.mean(each)) for video_id, each in distances.items()}
        return dict(sorted(means.items(), key=lambda each: each[1])[:count])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return all of it as named arrays, for an archive without pickle."""
        return {
            "neighbours": np.asarray(self.neighbours),
            "calibration": self.calibration,
            **{TRAINING_PREFIX + name: rows for name, rows in self.training.items()},
            **{IDS_PREFIX + name: ids for name, ids in self.ids.items()},
            **{SCALE_PREFIX + name: place.scale for name, place in self._neighbourhoods.items()},
            **{REACH_PREFIX + name: place.reach for name, place in self._neighbourhoods.items()},
            **{
                DENSITY_PREFIX + name: place.density for name, place in self._neighbourhoods.items()
            },
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> NoveltyModel:
        """Read what `to_arrays` gave."""
        return cls(
            training=_with_prefix(arrays, TRAINING_PREFIX),
            neighbours=int(arrays["neighbours"]),
            calibration=arrays["calibration"],
            ids=_with_prefix(arrays, IDS_PREFIX),
            measured={
                name: Neighbourhood(
                    scale=scale,
                    reach=arrays[REACH_PREFIX + name],
                    density=arrays[DENSITY_PREFIX + name],
                )
                for name, scale in _with_prefix(arrays, SCALE_PREFIX).items()
            },
        )

    def _distances(self, name: str, rows: Floats) -> Floats:
        present = ~np.isnan(rows).any(axis=1)
        distances = np.full(len(rows), np.nan)
        if present.any():
            distances[present] = self._neighbourhoods[name].outlier_factors(
                self.training[name], rows[present], self.neighbours
            )
        return distances

    @cached_property
    def _neighbourhoods(self) -> dict[str, Neighbourhood]:
        return {
            name: self.measured.get(name) or Neighbourhood.of(rows, self.neighbours)
            for name, rows in self.training.items()
        }


def _density(apart: Floats, reach: Floats) -> Floats:
    """Return local reachability densities, [M].

    Args:
        apart: Distances to the neighbours, [M, neighbours].
        reach: How far the neighbours reach themselves, [M, neighbours].
    """
    return 1 / (np.maximum(apart, reach).mean(axis=1) + 1e-10)


def fit_novelty(
    training: Embeddings,
    calibration: Embeddings,
    neighbours: int,
    ids: Sequence[str] | None = None,
) -> NoveltyModel:
    """Learn what is usual from training clips, and how far usual clips are from calibration clips.

    Args:
        training: Of the training clips.
        calibration: Of the calibration clips.
        neighbours: Training clips that a clip is compared with.
        ids: Of the training clips, in the same order, so that they can be named.

    Raises:
        ValueError: No modality has enough training clips.
    """
    has = {name: ~np.isnan(rows).any(axis=1) for name, rows in training.items()}
    present = {name: rows[has[name]] for name, rows in training.items()}
    usable = {name: rows for name, rows in present.items() if len(rows) >= FEWEST_CLIPS}
    if not usable:
        counts = ", ".join(f"{name} {len(rows)}" for name, rows in present.items())
        raise ValueError(
            f"No modality has the {FEWEST_CLIPS} training clips that novelty needs: {counts}."
        )
    model = NoveltyModel(training=usable, neighbours=neighbours)
    distances = model.distances(calibration)
    return NoveltyModel(
        training=usable,
        neighbours=neighbours,
        calibration=np.sort(distances[~np.isnan(distances)]),
        ids={} if ids is None else {name: np.array(ids, np.str_)[has[name]] for name in usable},
        measured=model._neighbourhoods,
    )


def _with_prefix(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def flags_possible(calibration_clips: int, alpha: float) -> bool:
    """Return whether any p-value can be as small as this: it takes 1 / alpha - 1 clips."""
    return 1 / (1 + calibration_clips) <= alpha


def separation(usual: Sequence[float] | Floats, unlike: Sequence[float] | Floats) -> float:
    """Return how often an unlike clip is farther away than a usual one: the area under the ROC."""
    from sklearn.metrics import roc_auc_score

    is_unlike = np.concatenate([np.zeros(len(usual)), np.ones(len(unlike))])
    return float(roc_auc_score(is_unlike, np.concatenate([usual, unlike])))
