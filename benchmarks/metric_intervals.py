"""How often intervals of metrics hold the truth, by the way in which they are made.

Simulates test sets of 5 to 60 creators in four worlds: clips of a creator share a part of their
views and of the model's error; in `unequal` a few creators have most clips and the creators'
effects are heavy-tailed; then one of twenty creators is watched far more than the others. The
truth is what the model reaches on 20,000 creators. Prints, for each world, metric and method, the
share of nominal 95 % intervals that hold the truth, and their median width.

- `percentile`: percentiles of a cluster bootstrap, set wider for few clusters (Hesterberg 2015)
- `fixed`: the same with the denominators of R² and skill held at those of the whole test set
- `BCa`: corrected for bias and skewness (Efron 1987), by clusters
- `studentised`: a bootstrap of t with the linearised error of each resample, on the logarithm of
  MSE and of 1 - R²; for means and their ratios only
- `jackknife`: Student's t with the error of a jackknife by clusters, on the logarithm of errors and
  of 1 - R², and on Fisher's z of correlations; `linear` with that of the infinitesimal jackknife
- `half`: the same with the error of clusters at half their weight: what the project uses

Run: `.venv/bin/python benchmarks/metric_intervals.py [test sets]`; a minute on a core that is free.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from tiktok_virality.evaluation.intervals import LEAST_CLUSTERS, ClusterJackknife
from tiktok_virality.evaluation.metrics import Yardstick, regression_metrics, resampled_metrics

Floats = NDArray[np.float64]
Interval = tuple[float, float]

CONFIDENCE: Final = 0.95
CREATORS: Final = (5, 10, 20, 60)
RESAMPLES: Final = 400
MANY: Final = 20_000
METRICS: Final = ("mse", "r2", "skill_mean", "spearman")
LEFT_OUT: Final = {"jackknife": 1.0, "half": 0.5, "linear": 0.01}
METHODS: Final = ("percentile", "fixed", "BCa", "studentised", *LEFT_OUT)
DENOMINATOR: Final = {"r2": "nmse", "skill_mean": "skill_mean"}


@dataclass(frozen=True, kw_only=True)
class World:
    """How clips of creators come about.

    Attributes:
        known: Standard deviation of what the model can know.
        unequal: Whether few creators have most clips, and effects are heavy-tailed.
        famous: Share of creators whose clips are all watched far more, which the model half knows.
    """

    known: float
    unequal: bool = False
    famous: float = 0.0

    def draw(self, rng: np.random.Generator, creators: int) -> tuple[Floats, Floats, NDArray]:
        """Return truth, prediction and creator of every clip, [N] each."""
        if self.unequal:
            sizes = 1 + rng.geometric(0.2, creators) * (1 + 3 * (rng.random(creators) < 0.15))
            effects = rng.standard_t(5, (2, creators)) * np.sqrt(3 / 5)
        else:
            sizes, effects = np.full(creators, 5), rng.normal(0, 1, (2, creators))
        owner = np.repeat(np.arange(creators), sizes)
        fame = 4.0 * (rng.random(creators) < self.famous)[owner]
        known = fame / 2 + self.known * (
            0.6 * effects[0][owner] + 0.8 * rng.normal(0, 1, len(owner))
        )
        truth = known + fame / 2 + 0.7 * effects[1][owner] + rng.normal(0, 0.8, len(owner))
        return truth, 0.9 * known + 0.1, owner


WORLDS: Final = {
    "half explained": World(known=1.0),
    "little explained": World(known=0.3),
    "unequal": World(known=1.0, unequal=True),
    "one of twenty famous": World(known=0.5, famous=0.05),
}
YARDSTICK: Final = Yardstick(mean=0.1, median=0.1, class_edges=(-0.7, 0.1, 0.8))


def to_line(metric: str, values: Floats) -> Floats:
    """Return values on a scale without ends, on which their distribution is nearly normal."""
    if metric == "spearman":
        return np.arctanh(np.clip(values, -1 + 1e-9, 1 - 1e-9))
    return np.log(values if metric == "mse" else 1 - values)


def from_line(metric: str, ends: Interval) -> Interval:
    """Undo `to_line` for the ends of an interval."""
    if metric == "spearman":
        return float(np.tanh(ends[0])), float(np.tanh(ends[1]))
    if metric == "mse":
        return float(np.exp(ends[0])), float(np.exp(ends[1]))
    return float(1 - np.exp(ends[1])), float(1 - np.exp(ends[0]))


def percentile(values: Floats, clusters: int) -> Interval:
    """Return the expanded percentile interval of resampled values."""
    t = stats.t.ppf((1 - CONFIDENCE) / 2, clusters - 1)
    tail = stats.norm.cdf(np.sqrt(clusters / (clusters - 1)) * t)
    low, high = np.nanquantile(values, [tail, 1 - tail])
    return float(low), float(high)


def bca(value: float, resampled: Floats, left_out: Floats) -> Interval:
    """Return the bias-corrected and accelerated interval."""
    below = np.clip(np.mean(resampled < value), 1 / len(resampled), 1 - 1 / len(resampled))
    bias = stats.norm.ppf(below)
    away = np.nanmean(left_out) - left_out
    acceleration = np.nansum(away**3) / (6 * max(np.nansum(away**2), 1e-12) ** 1.5)
    z = bias + stats.norm.ppf([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    low, high = np.nanquantile(resampled, stats.norm.cdf(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def jackknife(metric: str, value: float, left_out: Floats, share: float) -> Interval:
    """Return Student's interval with the error of leaving out a share of each cluster."""
    centre, others = to_line(metric, np.array(value)), to_line(metric, left_out) / share
    clusters = len(others)
    squares = np.sum((others - others.mean()) ** 2)
    error = np.sqrt((clusters - share) ** 2 / (clusters * (clusters - 1)) * squares)
    reach = stats.t.ppf((1 + CONFIDENCE) / 2, clusters - 1) * error
    return from_line(metric, (float(centre - reach), float(centre + reach)))


def linearised(
    metric: str, truth: Floats, predicted: Floats, owner: NDArray, drawn: Floats
) -> tuple[Floats, Floats]:
    """Return the logarithm of MSE or of 1 - R² and its error, [B] each, of resamples, [B, G]."""
    sums = np.zeros((drawn.shape[1], 4))
    np.add.at(
        sums,
        owner,
        np.stack([np.ones_like(truth), (predicted - truth) ** 2, truth, truth**2], axis=1),
    )
    n, error, first, _ = (drawn @ sums).T
    means = error / n
    if metric == "mse":
        below, of_below = np.ones_like(n), np.zeros_like(drawn)
    else:
        centre = YARDSTICK.mean if metric == "skill_mean" else first / n
        squares = sums[:, 3] - 2 * np.multiply.outer(centre, sums[:, 2])
        squares = squares + np.multiply.outer(np.square(centre), sums[:, 0])  # [B, G] or [G]
        below = np.sum(drawn * squares, axis=1) / n
        of_below = (squares - np.multiply.outer(below, sums[:, 0])) / below[:, None]
    of_error = (sums[:, 1] - np.multiply.outer(means, sums[:, 0])) / means[:, None]
    influence = (of_error - of_below) / n[:, None]  # [B, G]
    clusters = drawn.shape[1]
    spread = np.sqrt(clusters / (clusters - 1) * np.sum(drawn * influence**2, axis=1))
    return np.log(means / below), spread


def studentised(
    metric: str, truth: Floats, predicted: Floats, owner: NDArray, drawn: Floats
) -> Interval:
    """Return the interval of a bootstrap of t."""
    once = np.ones((1, drawn.shape[1]))
    centre, error = (part[0] for part in linearised(metric, truth, predicted, owner, once))
    values, errors = linearised(metric, truth, predicted, owner, drawn)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = (values - centre) / errors
    low, high = np.quantile(t[np.isfinite(t)], [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return from_line(metric, (float(centre - high * error), float(centre - low * error)))


def intervals(
    rng: np.random.Generator, truth: Floats, predicted: Floats, owner: NDArray
) -> dict[tuple[str, str], Interval]:
    """Return the interval of every method and metric for one test set."""
    clusters = int(owner.max()) + 1
    drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), RESAMPLES).astype(float)
    resampled = resampled_metrics(truth, predicted, drawn[:, owner], YARDSTICK)
    left_out = {
        method: resampled_metrics(
            truth, predicted, (1 - share * np.eye(clusters))[:, owner], YARDSTICK
        )
        for method, share in LEFT_OUT.items()
    }
    whole = regression_metrics(truth, predicted, YARDSTICK)
    found: dict[tuple[str, str], Interval] = {}
    for metric in METRICS:
        found[metric, "percentile"] = percentile(resampled[metric], clusters)
        found[metric, "BCa"] = bca(whole[metric], resampled[metric], left_out["jackknife"][metric])
        for method, share in LEFT_OUT.items():
            others = left_out[method][metric]
            found[metric, method] = jackknife(metric, whole[metric], others, share)
        if metric in DENOMINATOR:
            fixed = 1 - resampled["mse"] * (1 - whole[metric]) / whole["mse"]
            found[metric, "fixed"] = percentile(fixed, clusters)
        if metric != "spearman":
            found[metric, "studentised"] = studentised(metric, truth, predicted, owner, drawn)
    if clusters >= LEAST_CLUSTERS:
        project = ClusterJackknife(confidence=CONFIDENCE)
        own = project.metric_intervals(truth, predicted, owner, YARDSTICK)
        found |= {(metric, "half"): (own[metric].low, own[metric].high) for metric in METRICS}
    return found


def main() -> int:
    """Print the table."""
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    for name, world in WORLDS.items():
        rng = np.random.default_rng(11)
        many = world.draw(rng, MANY)
        expected = regression_metrics(many[0], many[1], YARDSTICK)
        held: dict[tuple[str, str, int], list[tuple[bool, float]]] = {}
        for creators in CREATORS:
            for _ in range(trials):
                found = intervals(rng, *world.draw(rng, creators))
                for (metric, method), (low, high) in found.items():
                    inside = low <= expected[metric] <= high
                    held.setdefault((metric, method, creators), []).append((inside, high - low))
        titles = "".join(f"{f'{creators} creators':>22}" for creators in CREATORS)
        print(f"\n{name} ({', '.join(f'{metric} {expected[metric]:.2f}' for metric in METRICS)})")
        print(f"{'metric':12}{'method':12}{titles}   held, median width")
        for metric in METRICS:
            for method in METHODS:
                if (metric, method, CREATORS[0]) not in held:
                    continue
                cells = ""
                for creators in CREATORS:
                    inside, widths = np.array(held[metric, method, creators]).T
                    cells += f"{f'{inside.mean():.1%} {np.median(widths):8.2f}':>22}"
                print(f"{metric:12}{method:12}{cells}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
