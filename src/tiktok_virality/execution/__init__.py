"""How a per-video stage runs: the plan, and the engines that carry it out."""

from tiktok_virality.execution.local import Engine, LocalEngine
from tiktok_virality.execution.plan import (
    WHOLE,
    Absent,
    Cut,
    Done,
    Failed,
    Outcome,
    Resources,
    StageItem,
    StagePlan,
    Transform,
    outcome_of,
)
from tiktok_virality.execution.ray_cluster import RayEngine
from tiktok_virality.execution.shard import Shard
from tiktok_virality.execution.work import BatchReport, StageWork

__all__ = [
    "WHOLE",
    "Absent",
    "BatchReport",
    "Cut",
    "Done",
    "Engine",
    "Failed",
    "LocalEngine",
    "Outcome",
    "RayEngine",
    "Resources",
    "Shard",
    "StageItem",
    "StagePlan",
    "StageWork",
    "Transform",
    "outcome_of",
]
