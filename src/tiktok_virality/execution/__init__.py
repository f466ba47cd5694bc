"""How a per-video stage runs: the plan, and the engines that carry it out."""

from tiktok_virality.execution.plan import (
    Absent,
    Done,
    Failed,
    Outcome,
    Resources,
    StageItem,
    StagePlan,
    Transform,
    outcome_of,
)

__all__ = [
    "Absent",
    "Done",
    "Failed",
    "Outcome",
    "Resources",
    "StageItem",
    "StagePlan",
    "Transform",
    "outcome_of",
]
