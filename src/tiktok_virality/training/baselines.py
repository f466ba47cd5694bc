"""Fits the baselines: on what may teach them, and as they were before validation clips did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tiktok_virality.models.baselines import FittedBaseline, fit_baselines
from tiktok_virality.models.roles import role_of
from tiktok_virality.training.corpus import LabelledClips, ModelInput, pooled


def fit_and_rehearse(
    model_input: ModelInput, seed: int, names: Sequence[str] | None = None
) -> tuple[dict[str, FittedBaseline], dict[str, FittedBaseline]]:
    """Fit baselines on the training and the validation split, and on the former alone.

    Nothing about a baseline is chosen on the validation split, so it may teach them, as it
    teaches the readout of every predictor: what the training split has chosen stays. So do the
    constants.

    Args:
        model_input: The clips.
        seed: Of what is random in them.
        names: Which; ``None`` for all.

    Returns:
        The baselines; and the same taught by training clips alone, which speak of validation clips.
    """

    def fitted(
        clips: LabelledClips, like: Mapping[str, FittedBaseline] | None = None
    ) -> dict[str, FittedBaseline]:
        known = pooled(clips, model_input.token_sizes)
        return fit_baselines(known, clips.log_views, clips.groups, seed, names, like)

    rehearsed = fitted(model_input.splits["train"])
    taught = fitted(model_input.open_clips, rehearsed)
    constants = {name: each for name, each in rehearsed.items() if role_of(name) == "constant"}
    return taught | constants, rehearsed
