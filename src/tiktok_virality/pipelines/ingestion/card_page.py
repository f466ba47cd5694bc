"""The dataset card: one page of HTML that needs nothing but itself."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tiktok_virality.pipelines.ingestion.card import DatasetSummary
from tiktok_virality.pipelines.ingestion.card_plots import card_plots
from tiktok_virality.pipelines.ingestion.card_warnings import selection_warnings
from tiktok_virality.pipelines.reporting.page import write_page

TEMPLATE: Final = "dataset_card.html.j2"
HERE: Final = Path(__file__).parent

FIELDS: Final = {
    "creator_id": "creator",
    "posted_at": "time of posting",
    "captured_at": "time of capture",
    "topic": "topic",
    "caption": "caption",
    "hashtags": "hashtags",
    "likes": "likes",
    "comments": "comments",
    "shares": "shares",
}


def render_card(summary: DatasetSummary) -> str:
    """Return the page."""
    return write_page(
        TEMPLATE,
        card_plots(summary),
        folder=HERE,
        card=summary,
        warnings=selection_warnings(summary),
        rejected=sum(each.count for each in summary.rejects),
        fields=FIELDS,
    )
