"""What became of scored clips, beside what was said of them.

The tests are SciPy's. evidently and nannyml would test the same columns by the same tests, and
bring twenty and thirty packages for it, CUDA libraries among them; what they cannot know is what is
asked here: whether conformal intervals still hold, and how often clips are flagged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from tiktok_virality.evaluation.config import CertaintyParameters
from tiktok_virality.evaluation.conformal import SHOWN_LEVEL
from tiktok_virality.evaluation.significance import holm
from tiktok_virality.evaluation.targets import Target, TargetParameters
from tiktok_virality.pipelines.ingestion.posts import parse_posts
from tiktok_virality.pipelines.modeling.certainty import JUDGED
from tiktok_virality.pipelines.reporting.wording import percent
from tiktok_virality.schema import DataError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as Plot
else:  # Kedro resolves the annotations when it reads the registry, which loads no plotly
    Plot = Any

FEWEST: Final = 20
"""Clips with views, below which nothing is tested."""

ALARM: Final = 0.05
"""How likely it is that any of the tests is wrong where nothing has changed."""

OF_INPUTS: Final = ("unlike clips", "answers")
"""Tests that need no views: inputs may change before errors show it."""

logger = logging.getLogger(__name__)


def join_outcomes(
    scores: pd.DataFrame, posted_posts: pd.DataFrame, target: TargetParameters
) -> pd.DataFrame:
    """Return scored clips whose views came in since.

    Args:
        scores: Of `score_clips`.
        posted_posts: What became of them, as a source has it: ``id`` or ``file``, the name under
            which a clip was scored, and ``views``.
        target: What the models predict.

    Returns:
        ``video_id``, ``views``, ``y_true``, ``prediction``, ``lower``, ``upper``.

    Raises:
        DataError: There are no posts, or none is a scored clip; or the models predict no views.
    """
    scale = Target(parameters=target)
    if not scale.has_views:
        raise DataError(
            f"These models predict the {scale.name}, and monitoring compares views: set "
            "modeling.target.kind to log_views."
        )
    known = parse_posts(posted_posts, pd.Timestamp.now(tz="UTC"))
    names = posted_posts["file"].astype("string").str.rsplit(".", n=1).str[0]
    known = known.assign(video_id=names.fillna(posted_posts["id"]).astype("str"))
    joined = scores.astype({"video_id": "str"}).merge(
        known[["video_id", "views"]].dropna(), on="video_id", validate="one_to_many"
    )
    if joined.empty:
        raise DataError(
            f"None of the {len(known)} posts in data/01_raw/posted is one of the {len(scores)} "
            "scored clips. Its `id` or `file` must be the name under which the clip was scored "
            "(see data/08_reporting/scores.csv), and it needs `views`."
        )
    latest = joined.drop_duplicates("video_id", keep="last")
    truth = np.log1p(latest["views"].to_numpy(dtype=np.float64))
    columns = ["video_id", "views", "y_true", "prediction", "lower", "upper"]
    return latest.assign(y_true=truth)[columns].reset_index(drop=True)


def watch_models(
    outcomes: pd.DataFrame,
    scores: pd.DataFrame,
    predictions: pd.DataFrame,
    certainty: CertaintyParameters,
) -> dict[str, Any]:
    """Test whether the models still hold.

    Args:
        outcomes: Of `join_outcomes`.
        scores: Of all scored clips, those without views among them.
        predictions: Of the clips that the models were tested on.
        certainty: How often the flag for unlike clips may be wrong.

    Returns:
        ``clips`` with views and ``scored`` in all; ``checks``, each with ``name``, ``expected``,
        ``measured``, ``p_value``, ``p_adjusted`` (Holm's, over all checks) and ``alarm``;
        ``advice``: ``"wait"``, ``"keep"``, ``"look"`` or ``"train"``; and ``sentence``.
    """
    tested = predictions[(predictions["model"] == JUDGED) & (predictions["split"] == "test")]
    checks = list(_checks(outcomes, scores, tested, certainty)) if len(outcomes) >= FEWEST else []
    for check, adjusted in zip(checks, holm([c["p_value"] for c in checks]), strict=True):
        check |= {"p_adjusted": adjusted, "alarm": bool(adjusted <= ALARM)}
    advice, sentence = _advice(checks, len(outcomes))
    (logger.info if advice in ("keep", "wait") else logger.warning)("%s", sentence)
    return {
        "clips": len(outcomes),
        "scored": len(scores),
        "checks": checks,
        "advice": advice,
        "sentence": sentence,
    }


def plot_outcomes(outcomes: pd.DataFrame) -> Plot:
    """Draw what was said of each clip beside what became of it."""
    import plotly.graph_objects as go

    from tiktok_virality.pipelines.reporting.palette import GREY, colour
    from tiktok_virality.pipelines.reporting.plots import plain

    said, true, low, high = (
        np.maximum(np.expm1(outcomes[name].to_numpy(dtype=np.float64)), 1.0)
        for name in ("prediction", "y_true", "lower", "upper")
    )
    reach = [float(min(said.min(), true.min())), float(max(said.max(), true.max()))]
    figure = go.Figure(
        [
            go.Scatter(
                x=reach, y=reach, mode="lines", line={"color": GREY, "dash": "dot"}, name="as said"
            ),
            go.Scatter(
                x=said,
                y=true,
                text=outcomes["video_id"],
                mode="markers",
                marker={"color": colour(JUDGED), "size": 8},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": np.maximum(high - said, 0),
                    "arrayminus": np.maximum(said - low, 0),
                    "thickness": 1,
                    "width": 0,
                },
                name="clips, with their intervals",
            ),
        ]
    )
    figure.update_xaxes(type="log", title="views expected")
    figure.update_yaxes(type="log", title="views that came")
    return plain(figure, height=460)


def _checks(
    outcomes: pd.DataFrame,
    scores: pd.DataFrame,
    tested: pd.DataFrame,
    certainty: CertaintyParameters,
) -> Iterator[dict[str, Any]]:
    from scipy import stats

    errors = (outcomes["y_true"] - outcomes["prediction"]).to_numpy()
    before = (tested["y_true"] - tested["y_pred"]).to_numpy()
    bias = stats.ttest_1samp(errors, 0.0)
    low, high = bias.confidence_interval(0.95)
    yield {
        "name": "bias",
        "expected": "errors that are zero on average",
        "measured": f"{errors.mean():+.2f} ({low:+.2f} to {high:+.2f}) on the scale ln(1 + views): "
        f"{np.exp(errors.mean()):.2f} times the views that were expected",
        "p_value": float(bias.pvalue),
    }
    worse = stats.mannwhitneyu(np.abs(errors), np.abs(before), alternative="greater")
    yield {
        "name": "errors",
        "expected": "no larger than on the clips that the models were tested on",
        "measured": f"a mean square of {np.square(errors).mean():.2f}, "
        f"{np.square(before).mean():.2f} in the test",
        "p_value": float(worse.pvalue),
    }
    known = outcomes.dropna(subset=["lower", "upper"])
    if len(known):
        inside = int(known["y_true"].between(known["lower"], known["upper"]).sum())
        held = stats.binomtest(inside, len(known), SHOWN_LEVEL, alternative="less")
        yield {
            "name": "intervals",
            "expected": f"to hold {percent(SHOWN_LEVEL)} of the clips",
            "measured": f"{inside} of {len(known)} ({percent(inside / len(known))})",
            "p_value": float(held.pvalue),
        }
    flagged = int(scores["unlike"].astype(bool).sum())
    unlike = stats.binomtest(flagged, len(scores), certainty.novelty_alpha, alternative="greater")
    yield {
        "name": "unlike clips",
        "expected": f"no more than {percent(certainty.novelty_alpha)} of what is scored",
        "measured": f"{flagged} of {len(scores)} ({percent(flagged / len(scores))})",
        "p_value": float(unlike.pvalue),
    }
    answers = stats.ks_2samp(scores["prediction"], tested["y_pred"])
    yield {
        "name": "answers",
        "expected": "spread as on the clips that the models were tested on",
        "measured": f"a largest distance of {answers.statistic:.2f} between both distributions "
        "(Kolmogorov and Smirnov)",
        "p_value": float(answers.pvalue),
    }


def _advice(checks: list[dict[str, Any]], clips: int) -> tuple[str, str]:
    if not checks:
        return "wait", (
            f"Views are known of {clips} scored clips, and {FEWEST} are needed to say anything."
        )
    alarms = [check["name"] for check in checks if check["alarm"]]
    if not alarms:
        return "keep", f"On {clips} clips nothing speaks against the models."
    said = "; ".join(f"{c['name']}: {c['measured']}" for c in checks if c["alarm"])
    if set(alarms) <= set(OF_INPUTS):
        return "look", (
            f"The clips that are scored have changed, and errors do not show it yet ({said}). "
            "Collect views of such clips."
        )
    return "train", f"The models do not hold any more ({said}). Train anew, with these clips."
