"""Table 2 and the figures of the paper, where the published models take part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.reporting.conftest import SEED
from tiktok_virality.evaluation.targets import TargetParameters
from tiktok_virality.models.roles import PUBLISHED_MODELS
from tiktok_virality.pipelines.reporting import nodes
from tiktok_virality.schema import DataError

COURSE = [
    {"epoch": epoch, "train_loss": 1.0 - epoch / 4, "validation_loss": 1.1, "seconds": 1.0}
    for epoch in range(3)
]


@pytest.fixture(scope="module")
def predictions(predictions) -> pd.DataFrame:
    """The published ensemble says the truth, and both Transformers alone the opposite."""
    ours = predictions[(predictions["model"] == "ensemble") & (predictions["seed"] == SEED)]
    added = [
        ours.assign(
            model=name,
            modality=name,
            y_pred=ours["y_true"] if name == "published" else 20 - ours["y_true"],
            lower=np.nan,
            upper=np.nan,
        )
        for name in PUBLISHED_MODELS
    ]
    return pd.concat([predictions, *added], ignore_index=True)


@pytest.fixture(scope="module")
def leaderboard(predictions, manifest, splits, target, reporting) -> list[dict[str, Any]]:
    return nodes.build_leaderboard(predictions, manifest, splits, target, reporting, SEED)


@pytest.fixture(scope="module")
def comparisons(leaderboard, predictions, manifest, reporting) -> list[dict[str, Any]]:
    return nodes.compare_models(leaderboard, predictions, manifest, reporting, SEED)


@pytest.fixture(scope="module")
def verdict(leaderboard, comparisons, reporting) -> dict[str, Any]:
    return nodes.judge_ensemble(leaderboard, comparisons, reporting)


def test_the_table_has_the_published_models_ours_and_constants(leaderboard, predictions):
    table = nodes.tabulate_published(leaderboard, predictions, SEED)
    assert table.startswith("On 40 test clips:")
    names = [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[4:]]
    assert names == [
        *("published Transformer, picture", "published Transformer, voice"),
        *("published ensemble", "ensemble", "training mean", "training median"),
    ]
    row = next(line for line in table.splitlines() if "| published ensemble" in line)
    assert row == "| published ensemble | 0 | 0.0 | 0.00 | 1.00 |"


def test_a_target_that_is_no_count_of_views_is_refused(leaderboard, predictions):
    rows = [row | {"mse_views": None} for row in leaderboard]
    with pytest.raises(DataError, match=r"published\.take_part"):
        nodes.tabulate_published(rows, predictions, SEED)


def test_the_figure_has_both_losses_and_predictions(predictions, verdict):
    training = {
        name: {"parameter_count": 1, "history": COURSE}
        for name in ("autoencoder", *PUBLISHED_MODELS)
    }
    figure = nodes.draw_published(training, predictions, verdict, TargetParameters(), SEED)
    pixels, views, both = figure.axes
    assert len(pixels.lines) == 2
    assert len(views.lines) == 2 * len(PUBLISHED_MODELS) + 1
    ours, published = (each.get_offsets() for each in both.collections)
    assert len(ours) == len(published) == 40
    assert np.allclose(published[:, 0], published[:, 1])


def test_published_models_are_compared_with_the_ensemble(predictions, comparisons):
    assert set(PUBLISHED_MODELS) <= {row["reference"] for row in comparisons}
