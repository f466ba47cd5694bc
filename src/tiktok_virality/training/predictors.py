"""Trains the predictors of views."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from tiktok_virality.models.fusion import LateFusion, SingleModality
from tiktok_virality.models.readout import Blended, SecondOrderReadout
from tiktok_virality.models.trained import ModelSpec, TargetScale, TrainedModel
from tiktok_virality.models.transformer import Standardise
from tiktok_virality.training.corpus import ClipTokens, LabelledClips, together
from tiktok_virality.training.data import pooled_batch, token_batches
from tiktok_virality.training.launcher import TrainingRun, fit
from tiktok_virality.training.module import ViewsTrainee
from tiktok_virality.training.parameters import TrainingParameters
from tiktok_virality.training.predicting import decide

PRIOR_CLIPS = 48
"""A Transformer is not trusted until it has earned it, by more evidence than so many clips give."""


def train_predictor(
    spec: ModelSpec,
    train: LabelledClips,
    validation: LabelledClips,
    parameters: TrainingParameters,
    run: TrainingRun,
    start: Mapping[str, TrainedModel] | None = None,
    *,
    scaled_by: LabelledClips | None = None,
) -> TrainedModel:
    """Train a predictor of log1p(views).

    The Transformer learns from the training clips. So does the readout, until the validation clips
    have said how far each is to be trusted; then the readout is fitted again, on both.

    Args:
        spec: What to train.
        train: All that scaling and the weights of the Transformer see.
        validation: Tells when the Transformer was at its best, and how far to trust it.
        parameters: How long and how fast.
        run: Names the training.
        start: Trained modality models, by modality, that a late fusion begins from.
        scaled_by: Whose truth standardises the target; ``None``: that of the training clips.
    """
    target = _scale((train if scaled_by is None else scaled_by).log_views)
    batches, validation_batches = (
        token_batches(
            split.tokens,
            _standardised(split, target).astype(np.float32),
            spec.token_sizes,
            batch_size=parameters.batch_size,
            seed=seed,
            drawn=drawn,
        )
        for split, seed, drawn in (
            (train, run.seed, parameters.clips_per_epoch(len(train))),
            (validation, None, None),
        )
    )
    steps = len(batches) * parameters.epochs

    def begin() -> ViewsTrainee:
        torch.manual_seed(run.seed)
        deep = spec.build_deep()
        _fit_scales(deep, spec, train.tokens)
        if start is not None:
            _start_from(deep, start)
        return ViewsTrainee(deep, parameters, steps)

    state, history = fit(begin, batches, validation_batches, parameters, run)
    model = spec.build()
    if isinstance(model, Blended):
        model.deep.load_state_dict(state)
        _fit_readout(model.rehearsal, train, target, spec.token_sizes)
        _fit_trust(model.eval(), validation, target, spec.token_sizes)
        _fit_readout(model.readout, together(train, validation), target, spec.token_sizes)
        state = model.state_dict()
    return TrainedModel(spec=spec, state=state, history=history, target=target)


def _fit_readout(
    readout: SecondOrderReadout,
    clips: LabelledClips,
    target: TargetScale,
    token_sizes: Mapping[str, int],
) -> None:
    everything = pooled_batch(clips.tokens, token_sizes)
    readout.fit(everything, _standardised(clips, target), clips.groups)


def _fit_trust(
    model: Blended,
    validation: LabelledClips,
    target: TargetScale,
    token_sizes: Mapping[str, int],
) -> None:
    """Weigh the Transformer against the readout by their errors on the validation split.

    Least squares for one number in [0, 1], drawn towards zero by as much evidence as `PRIOR_CLIPS`
    clips give: the readout has been weighed by the evidence of all training clips, and on a small
    split a Transformer that knows nothing would be trusted by chance.
    """
    deep, linear = (
        decide(part, validation.tokens, token_sizes) for part in (model.deep, model.rehearsal)
    )
    apart = deep - linear
    prior = PRIOR_CLIPS * np.square(apart).mean() + np.finfo(np.float64).tiny
    agreement = apart @ (_standardised(validation, target) - linear)
    share = agreement / (apart @ apart + prior)
    model.trust.fill_(float(np.clip(share, 0, 1)))


def _standardised(clips: LabelledClips, target: TargetScale) -> np.ndarray:
    return (clips.log_views - target.mean) / target.deviation


def _scale(log_views: np.ndarray) -> TargetScale:
    return TargetScale(mean=float(log_views.mean()), deviation=max(float(log_views.std()), 1e-6))


def _fit_scales(deep: nn.Module, spec: ModelSpec, clips: Sequence[ClipTokens]) -> None:
    """Give every `Standardise` of a model the statistics of its modality's training tokens."""
    for name, module in deep.named_modules():
        if isinstance(module, Standardise):
            modality = next((each for each in name.split(".") if each in spec.token_sizes), None)
            read = spec.modality if modality is None else modality
            known = [clip for clip in clips if read in clip.tokens]
            if known:
                module.fit(torch.from_numpy(clip.tokens[read]) for clip in known)


def _start_from(model: nn.Module, start: Mapping[str, TrainedModel]) -> None:
    assert isinstance(model, LateFusion)
    for modality, trained in start.items():
        module = trained.build()
        alone = module.deep if isinstance(module, Blended) else module
        assert isinstance(alone, SingleModality)
        model.transformer(modality).load_state_dict(alone.transformer.state_dict())
