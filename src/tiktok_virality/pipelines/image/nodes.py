"""One embedding per still."""

from __future__ import annotations

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.models.image_configs import ImageParameters


def embed_stills(frames: StageTable, parameters: ImageParameters, device: str) -> StagePlan:
    """Plan the embedding of the stills of every clip that has frames.

    Raises:
        ParameterError: The library has no such network.
        WeightsError: There are no weights, or not the right ones.
    """
    from tiktok_virality.models.image_weights import find_image_checkpoint
    from tiktok_virality.stages.image import ImageEmbedder

    return StagePlan(
        items=frames.items(["stills", "still_seconds"]),
        transform=ImageEmbedder(parameters, find_image_checkpoint(parameters), device),
        absent=frames.missing("frames"),
        batch_size=parameters.batch_size,
        resources=Resources(in_process=True),
    )
