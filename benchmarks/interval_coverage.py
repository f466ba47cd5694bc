"""How often intervals hold the truth when clips of one creator resemble each other.

Simulates many corpora: a creator has an effect that nobody can know, and errors grow with the
disagreement of the modalities, or do not. Calibration and test clips are of different creators, as
in the splits by creator. Prints the mean coverage over corpora, how much it differs from corpus to
corpus, the coverage of the third of clips whose modalities disagree most, and the mean width.

Run: `.venv/bin/python benchmarks/interval_coverage.py [corpora]`.
"""

from __future__ import annotations

import sys

import numpy as np

from tiktok_virality.evaluation.conformal import (
    FEATURES,
    LEVELS,
    METHODS,
    PredictedClips,
    calibrate,
)

CLIPS_EACH = 6
TEST_CREATORS = 200
SETTINGS = (  # fitting and calibration creators, creators' share of the error, does it grow
    (10, 12, 0.0, True),
    (10, 12, 0.3, True),
    (10, 12, 0.6, True),
    (10, 12, 0.3, False),
    (40, 40, 0.3, True),
    (40, 40, 0.3, False),
)


def simulate(
    rng: np.random.Generator, creators: int, creator_share: float, grows: bool
) -> PredictedClips:
    """Return clips whose error is of variance 1 on average, `creator_share` of it by creator."""
    count = creators * CLIPS_EACH
    disagreement = np.abs(rng.normal(0, 1, count))
    spread = np.sqrt(0.25 + 0.75 * disagreement**2) if grows else np.ones(count)
    of_creator = np.repeat(rng.normal(0, 1, creators), CLIPS_EACH)
    of_clip = rng.normal(0, 1, count)
    error = spread * (np.sqrt(creator_share) * of_creator + np.sqrt(1 - creator_share) * of_clip)
    columns = {
        "prediction": rng.normal(9, 1, count),
        "log_duration": rng.normal(2, 0.3, count),
        "has_audio": (rng.random(count) > 0.05).astype(float),
        "log_distance": rng.normal(0, 0.3, count),
        "disagreement": disagreement,
    }
    features = np.stack([columns[name] for name in FEATURES], axis=1)
    return PredictedClips(features=features, truth=features[:, 0] + error)


def most_disagreed(clips: PredictedClips) -> np.ndarray:
    """Return which clips are the third with the largest disagreement, [N]."""
    disagreement = clips.features[:, FEATURES.index("disagreement")]
    return disagreement >= np.quantile(disagreement, 2 / 3)


def main() -> int:
    """Print the table; fail where mean coverage is more than 3 points below nominal."""
    corpora = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    worst = 0.0
    for fitting, calibration, creator_share, grows in SETTINGS:
        rng = np.random.default_rng(7)
        held: dict[tuple[str, float], list[list[float]]] = {}
        print(
            f"\n{calibration} calibration creators, {creator_share:.0%} of the error by creator, "
            f"errors {'grow with disagreement' if grows else 'are alike'}"
        )
        for _ in range(corpora):
            intervals = calibrate(
                simulate(rng, fitting, creator_share, grows),
                simulate(rng, calibration, creator_share, grows),
            )
            test = simulate(rng, TEST_CREATORS, creator_share, grows)
            for method in METHODS:
                for level in LEVELS:
                    lower, upper = intervals.apply(test.features, level, method)
                    inside = (lower <= test.truth) & (test.truth <= upper)
                    found = [
                        inside.mean(),
                        inside[most_disagreed(test)].mean(),
                        (upper - lower).mean(),
                    ]
                    held.setdefault((method, level), []).append(found)
        for (method, level), found in held.items():
            coverage, hard, width = np.asarray(found).T
            worst = max(worst, level - float(coverage.mean()))
            print(
                f"  {method:8s} {level:.0%}: {coverage.mean():.1%} (one corpus: "
                f"{np.quantile(coverage, 0.05):.0%} to {np.quantile(coverage, 0.95):.0%}), "
                f"of the third in disagreement {hard.mean():.1%}, width {width.mean():.2f}"
            )
    print(f"largest shortfall of a mean: {100 * worst:.1f} points")
    return int(worst > 0.03)


if __name__ == "__main__":
    sys.exit(main())
