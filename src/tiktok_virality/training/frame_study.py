"""Autoencoders that learned from sparser or coarser frames, measured on the same frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.models.trained import TrainedModel
from tiktok_virality.training.autoencoder import train_autoencoder
from tiktok_virality.training.corpus import Rows
from tiktok_virality.training.launcher import TrainingRun
from tiktok_virality.training.parameters import AutoencoderTraining, StudyParameters

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class HeldFrames:
    """Frames in memory, by video id, uint8 [T, 3, H, W] each; read as a stage table is."""

    pixels: Mapping[str, Pixels]

    def row(self, video_id: str, columns: Sequence[str] | None = None) -> dict[str, Any]:
        """Return ``pixels``, and ``timestamps_seconds`` that only count the frames."""
        pixels = self.pixels[video_id]
        row = {"pixels": pixels, "timestamps_seconds": np.arange(len(pixels), dtype=np.float32)}
        return {name: row[name] for name in columns or row}

    def __contains__(self, video_id: object) -> bool:
        return video_id in self.pixels

    def thinned(self, stride: int, size: tuple[int, int]) -> HeldFrames:
        """Keep every ``stride``-th frame, averaged over areas to a (height, width)."""
        return HeldFrames(
            {
                key: _averaged(_unit(value[::stride]), size).mul(255).round().byte().numpy()
                for key, value in self.pixels.items()
            }
        )

    def of(self, ids: Sequence[str]) -> Iterator[Tensor]:
        """Yield the frames of clips in [0, 1], [T, 3, H, W] each."""
        return (_unit(self.pixels[video_id]) for video_id in ids)


@dataclass(frozen=True, kw_only=True)
class StudyClips:
    """Which clips do what; no clip does two things.

    Attributes:
        train: Teach the autoencoders.
        stopping: Tell which epoch was best, each setting on its own frames.
        measured: Are drawn again for the errors.
    """

    train: Sequence[str]
    stopping: Sequence[str]
    measured: Sequence[str]


def hold(frames: Rows, clips: StudyClips) -> HeldFrames:
    """Read the frames of all clips of the study into memory."""
    ids = [*clips.train, *clips.stopping, *clips.measured]
    return HeldFrames({i: np.asarray(frames.row(i, ["pixels"])["pixels"]) for i in ids})


def measure_setting(
    dense: HeldFrames,
    clips: StudyClips,
    study: StudyParameters,
    *,
    every_nth: int,
    shrink: int,
    run: TrainingRun,
) -> dict[str, Any]:
    """Train the autoencoder of a setting, and draw the measured clips again.

    Every error is a mean squared error over frames and pixels of values in [0, 1]. The common
    frames are those of the smallest stride, averaged to the size of the largest shrink factor: it
    is coarse, but asks no setting for detail that it was never shown.

    Args:
        dense: Frames at the smallest stride and shrink factor.
        clips: Who teaches and who is measured.
        study: Of the trainings.
        every_nth: Stride of the setting.
        shrink: Its shrink factor.
        run: Names the training.

    Returns:
        ``own_error``, on the setting's own frames, as the paper measured; ``common_error``, on the
        common frames, shown in sequence; ``alone_error``, on the common frames, each shown as a
        clip of its own; what needs no autoencoder: ``own_mean_error`` and ``mean_error``, drawing
        the mean training picture, and ``earlier_error``, repeating the nearest earlier frame that
        the setting kept; ``frames_per_clip`` and ``single_frame_share`` of the measured clips.
    """
    stride = every_nth // min(study.every_nth)
    size = _size(shrink)
    own, inputs = dense.thinned(stride, size), dense.thinned(1, size)
    model = _train(own, clips, study, run)
    module = model.build()
    common_size = _size(max(study.shrink))
    lengths = [len(own.pixels[i]) for i in clips.measured]
    return {
        "steps": len(model.history) * steps_per_epoch(clips, study),
        "train_clips": len(clips.train),
        "measured_clips": len(clips.measured),
        "frames_per_clip": float(np.mean(lengths)),
        "single_frame_share": float(np.mean(np.equal(lengths, 1))),
        **_own_errors(module, own, clips),
        **_common_errors(module, dense, inputs, clips, stride, common_size),
    }


def steps_per_epoch(clips: StudyClips, study: StudyParameters) -> int:
    """Return the batches of an epoch: the same for every setting, as each has all the clips."""
    return -(-len(clips.train) // study.batch_size)


def _train(
    own: HeldFrames, clips: StudyClips, study: StudyParameters, run: TrainingRun
) -> TrainedModel:
    training = AutoencoderTraining(
        epochs=-(-study.steps // steps_per_epoch(clips, study)),
        batch_size=study.batch_size,
        learning_rate=study.learning_rate,
    )
    return train_autoencoder(own, clips.train, clips.stopping, study.autoencoder, training, run)


def _own_errors(module: nn.Module, own: HeldFrames, clips: StudyClips) -> dict[str, float]:
    mean = _mean_picture(own.of(clips.train))
    own_error, own_mean_error = FrameErrors(), FrameErrors()
    for frames in own.of(clips.measured):
        own_error.add(_drawn(module, frames[None])[0], frames)
        own_mean_error.add(mean.expand_as(frames), frames)
    return {"own_error": own_error.mean, "own_mean_error": own_mean_error.mean}


def _common_errors(
    module: nn.Module,
    dense: HeldFrames,
    inputs: HeldFrames,
    clips: StudyClips,
    stride: int,
    size: tuple[int, int],
) -> dict[str, float]:
    mean = _averaged(_mean_picture(dense.of(clips.train)), size)
    errors = {name: FrameErrors() for name in ("common", "alone", "mean", "earlier")}
    for frames, shown in zip(dense.of(clips.measured), inputs.of(clips.measured), strict=True):
        truth = _averaged(frames, size)  # [T, 3, h, w]
        earlier = torch.arange(len(truth)) // stride * stride
        errors["common"].add(_averaged(_drawn(module, shown[None])[0], size), truth)
        errors["alone"].add(_averaged(_drawn(module, shown[:, None])[:, 0], size), truth)
        errors["mean"].add(mean.expand_as(truth), truth)
        errors["earlier"].add(truth[earlier], truth)
    return {f"{name}_error": each.mean for name, each in errors.items()}


class FrameErrors:
    """Squared errors of frames, added up clip by clip, so that every frame weighs the same."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._frames = 0

    def add(self, drawn: Tensor, frames: Tensor) -> None:
        """Add the frames of a clip, [T, 3, H, W] each."""
        self._sum += float((drawn - frames).square().mean(dim=(1, 2, 3)).double().sum())
        self._frames += len(frames)

    @property
    def mean(self) -> float:
        """Mean over frames and pixels."""
        return self._sum / self._frames


def _drawn(module: nn.Module, clips: Tensor) -> Tensor:
    """Draw clips of one length again, [B, T, 3, H, W]."""
    with torch.inference_mode():
        return module(clips, torch.full((len(clips),), clips.shape[1]))


def _mean_picture(clips: Iterator[Tensor]) -> Tensor:
    """Return the mean of all frames of clips, [1, 3, H, W]."""
    total, count = torch.zeros(()), 0
    for frames in clips:
        total = total + frames.double().sum(dim=0)
        count += len(frames)
    return (total / count).float()[None]


def _averaged(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Average over areas: [T, 3, H, W] to [T, 3, height, width]."""
    return adaptive_avg_pool2d(frames, size)


def _unit(pixels: Pixels) -> Tensor:
    return torch.tensor(np.asarray(pixels)).float() / 255


def _size(shrink: int) -> tuple[int, int]:
    sampling = FrameSampling(shrink=shrink)
    return sampling.height, sampling.width
