"""The nodes of the demo pipeline."""

from __future__ import annotations

from typing import Any

import pandas as pd

from tiktok_virality.demo.clip_plan import clip_plans
from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.demo.planting import describe_corpus, format_count, plan_clips
from tiktok_virality.demo.renderer import ClipRenderer, render_items
from tiktok_virality.execution import StagePlan


def plan_corpus(parameters: DemoParameters, seed: int) -> pd.DataFrame:
    """Decide what every clip shows and says, who posts it, and what it is worth."""
    return plan_clips(parameters, seed)


def describe_truth(
    demo_clips: pd.DataFrame, parameters: DemoParameters, seed: int
) -> dict[str, Any]:
    """Return the planted effects of every clip and the R² that a perfect model could reach."""
    return describe_corpus(demo_clips, parameters, seed)


def publish_metadata(demo_clips: pd.DataFrame) -> pd.DataFrame:
    """Return the posts as a scraper would find them: text, with counts such as ``"21.1M"``."""
    address = "https://example.com/@" + demo_clips["creator"] + "/video/" + demo_clips["video_id"]
    return pd.DataFrame(
        {
            "id": demo_clips["video_id"],
            "url": address,
            "views": demo_clips["views"].map(format_count),
            "caption": demo_clips["caption"],
            "creator": demo_clips["creator"],
            "posted_at": demo_clips["posted_at"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
    )


def render_corpus(demo_clips: pd.DataFrame) -> StagePlan:
    """Plan the rendering of every clip into an mp4 file."""
    items = render_items(clip_plans(demo_clips))
    return StagePlan(items=items, transform=ClipRenderer(), batch_size=4)
