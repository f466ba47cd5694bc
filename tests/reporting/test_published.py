"""Table 2 of the paper, filled in from a leaderboard."""

from __future__ import annotations

from typing import Any

from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.models.published_configs import PublishedFaults
from tiktok_virality.models.roles import PUBLISHED
from tiktok_virality.pipelines.reporting import create_pipeline
from tiktok_virality.pipelines.reporting.published import published_table

MODELS = (*PUBLISHED, "ensemble", "training_mean", "training_median")


def row(model: str, split: str = "test", seed: int = 1, mse: float = 4.0) -> dict[str, Any]:
    return {
        "model": model,
        "split": split,
        "seed": seed,
        "n": 16,
        "mse_views": mse,
        "mae_views": 3.0,
    }


def test_errors_are_those_of_held_out_clips_of_the_main_seed():
    rows = [row(name) for name in MODELS]
    others = [row("published", seed=2, mse=9e9), row("published", "validation", mse=9e9)]
    faults = PublishedFaults(channels_as_tokens=True)
    table = published_table([*rows, *others], FrameSampling(every_nth=100, shrink=32), faults)
    assert [each["model"] for each in table] == list(MODELS)
    ours = next(each for each in table if each["model"] == "published")
    assert (ours["mse"], ours["mae"], ours["n"]) == (4.0, 3.0, 16)
    assert (ours["reported_mse"], ours["reported_mae"]) == (72.96e6, 4.89e3)
    assert (ours["every_nth"], ours["shrink"]) == (100, 32)
    assert ours["faults"] == ["channels_as_tokens"]
    assert table[0]["reported_mse"] is None


def test_the_table_and_the_figures_are_made_where_the_published_models_take_part():
    own = {"published_table", "published_loss_plot", "published_actual_vs_predicted_plot"}
    assert own <= create_pipeline(published=True).all_outputs()
    assert not own & create_pipeline().all_outputs()
