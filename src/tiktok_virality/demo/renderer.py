"""The rendering stage: planned clips become mp4 files, one process per core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiktok_virality.demo.clip_plan import ClipPlan
from tiktok_virality.demo.speech import require_espeak
from tiktok_virality.execution import Outcome, StageItem, outcome_of


def render_items(plans: Iterable[ClipPlan]) -> list[StageItem]:
    """Return one item per planned clip; the payload is the plan."""
    return [StageItem(video_id=plan.video_id, digest=plan.digest, payload=plan) for plan in plans]


@dataclass(frozen=True)
class ClipRenderer:
    """Renders clips: column ``video``, the bytes of an mp4 file."""

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result; raise the version when the drawing changes."""
        return {"version": 3}

    def setup(self) -> None:
        """Check that there is a voice.

        Raises:
            ProjectError: eSpeak NG is not installed.
        """
        require_espeak()

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Render a batch of clips."""
        return [outcome_of(item, _render) for item in items]


def _render(item: StageItem) -> dict[str, Any]:
    from tiktok_virality.demo.render import render_clip

    plan: ClipPlan = item.payload
    return {"video": render_clip(plan)}
