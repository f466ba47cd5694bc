"""What a clip sounds like, beside what is said in it."""

from __future__ import annotations

from tiktok_virality.datasets.stage_table import StageTable
from tiktok_virality.execution import Resources, StagePlan
from tiktok_virality.models.sound_configs import SoundParameters


def measure_sound(waveforms: StageTable, parameters: SoundParameters) -> StagePlan:
    """Plan the measuring of every waveform.

    Raises:
        ProjectError: There is a tagger to be used, and ONNX Runtime is not installed.
        WeightsError: The tagger's file is missing, or is no tagger.
    """
    from tiktok_virality.stages.sound import SoundReader

    tagger = None
    if parameters.tagger is not None:
        from tiktok_virality.models.sound_tagger import find_tagger

        tagger = find_tagger(parameters.tagger)
    return StagePlan(
        items=waveforms.items(["samples"]),
        transform=SoundReader(parameters, tagger),
        absent=waveforms.missing("waveform"),
        batch_size=parameters.batch_size,
        resources=Resources(beside=True),
    )
