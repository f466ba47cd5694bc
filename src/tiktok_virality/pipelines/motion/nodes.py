"""What moves in a clip, and how it is cut."""

from __future__ import annotations

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import StagePlan
from tiktok_virality.models.motion_configs import MotionParameters


def describe_movement(frames: StageTable, parameters: MotionParameters) -> StagePlan:
    """Plan the tokens of every clip; its motion was measured while it was decoded."""
    from tiktok_virality.stages.motion import MotionReader

    return StagePlan(
        items=frames.items(["steps", "step_seconds"]),
        transform=MotionReader(parameters.seconds_per_token),
        absent=frames.missing("frames"),
        batch_size=parameters.batch_size,
    )
