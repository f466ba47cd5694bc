"""What the frame-skip study found, in words made of its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = Sequence[Mapping[str, Any]]


def finding(rows: Rows) -> str:
    """Return one paragraph.

    Args:
        rows: Of the study: at least two strides, one shrink factor and one seed.
    """
    shrinks = sorted({row["shrink"] for row in rows})
    return " ".join(
        [
            *(_sparser_and_denser(rows, shrink) for shrink in shrinks),
            *(_best(rows, shrink) for shrink in shrinks),
            _short_clips(rows),
        ]
    )


def _sparser_and_denser(rows: Rows, shrink: int) -> str:
    """Compare the two largest strides, as the paper compared 200 with 100."""
    sparse, dense = sorted({row["every_nth"] for row in rows}, reverse=True)[:2]
    own, common, alone = (
        errors(rows, key, dense, shrink) / errors(rows, key, sparse, shrink)
        for key in ("own_error", "common_error", "alone_error")
    )
    return (
        f"At shrink {shrink}, an autoencoder that learned from every {_nth(dense)} frame has "
        f"{_factor(own)} the error of one that learned from every {_nth(sparse)} when each is "
        f"measured on its own frames, as in the paper, and {_factor(common)} on the same frames, "
        f"shown in sequence; {_factor(alone)} when these are shown one by one, so that nothing "
        "need be remembered."
    )


def _best(rows: Rows, shrink: int) -> str:
    strides = sorted({row["every_nth"] for row in rows}, reverse=True)
    by_stride = {n: float(errors(rows, "common_error", n, shrink).mean()) for n in strides}
    best = min(by_stride, key=lambda stride: by_stride[stride])
    mean = float(errors(rows, "mean_error", best, shrink).mean())
    return (
        f"In sequence at shrink {shrink}, every {_nth(best)} frame is the best to learn "
        f"from: a mean squared error of {by_stride[best]:.5f}, where the mean picture has "
        f"{mean:.5f} and every {_nth(strides[0])} gives {by_stride[strides[0]]:.5f}."
    )


def _short_clips(rows: Rows) -> str:
    sparse = max(row["every_nth"] for row in rows)
    share = next(row["single_frame_share"] for row in rows if row["every_nth"] == sparse)
    return (
        f"{share:.0%} of the measured clips have a single frame at every {_nth(sparse)}, so that "
        "nothing there teaches what follows what."
    )


def errors(rows: Rows, key: str, every_nth: int, shrink: int) -> NDArray[np.float64]:
    """Return an error of one setting, one per seed, in the order of the seeds."""
    chosen = [r for r in rows if (r["every_nth"], r["shrink"]) == (every_nth, shrink)]
    return np.array([row[key] for row in sorted(chosen, key=lambda row: row["seed"])])


def _factor(shares: NDArray[np.float64]) -> str:
    """Say how many times one error is another, and how far the seeds agree."""
    spread = "" if len(shares) < 2 else f" ({shares.min():.2f} to {shares.max():.2f} by seed)"
    return f"{shares.mean():.2f} times{spread}"


def _nth(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"
