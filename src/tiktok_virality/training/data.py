"""Batches: clips padded to their longest, of similar length, in an order that the epoch decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from tiktok_virality.models.fusion import TokenBatch
from tiktok_virality.models.pooling import stack_pooled
from tiktok_virality.training.corpus import ClipTokens, Rows

BUCKET_BATCHES = 8


def pad(sequences: Sequence[np.ndarray | None], size: int) -> tuple[Tensor, Tensor]:
    """Return [B, T, size] and where it is padding, [B, T]; ``None`` is all padding."""
    longest = max([1, *(len(s) for s in sequences if s is not None)])
    tokens = torch.zeros(len(sequences), longest, size)
    padding = torch.ones(len(sequences), longest, dtype=torch.bool)
    for row, sequence in enumerate(sequences):
        if sequence is not None:
            tokens[row, : len(sequence)] = torch.from_numpy(sequence)
            padding[row, : len(sequence)] = False
    return tokens, padding


def token_batch(
    clips: Sequence[ClipTokens], sizes: Mapping[str, int], *, pooled: bool = False
) -> TokenBatch:
    """Pad the tokens of clips, each modality to its longest; pool them, too, if asked to."""
    padded = {name: pad([c.tokens.get(name) for c in clips], n) for name, n in sizes.items()}
    return TokenBatch(
        {name: tokens for name, (tokens, _) in padded.items()},
        {name: padding for name, (_, padding) in padded.items()},
        _pooled(clips, sizes) if pooled else {},
    )


def pooled_batch(clips: Sequence[ClipTokens], sizes: Mapping[str, int]) -> TokenBatch:
    """Pool the tokens of clips, and leave out the tokens: all clips of a corpus fit into memory."""
    absent = {name: torch.tensor([[name not in c.tokens] for c in clips]) for name in sizes}
    return TokenBatch({}, absent, _pooled(clips, sizes))


def _pooled(clips: Sequence[ClipTokens], sizes: Mapping[str, int]) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(stack_pooled([c.pooled.get(name) for c in clips], n)).nan_to_num()
        for name, n in sizes.items()
    }


class Listed(Dataset[Any]):
    """A list of clips with their targets, already in memory."""

    def __init__(self, clips: Sequence[ClipTokens], targets: np.ndarray) -> None:
        self.clips = clips
        self.targets = targets

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[ClipTokens, float]:
        return self.clips[index], float(self.targets[index])


class Frames(Dataset[Any]):
    """Frames of clips, read from the stage table when they are needed."""

    def __init__(self, table: Rows, ids: Sequence[str]) -> None:
        self.table = table
        self.ids = ids

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> np.ndarray:
        return np.asarray(self.table.row(self.ids[index], ["pixels"])["pixels"])


class LengthBuckets(Sampler[list[int]]):
    """Batches of similar length, shuffled by seed and epoch; without a seed, in order of length.

    Attributes:
        lengths: Of all clips, [N].
        batch_size: Clips of a batch.
        seed: Of the order; ``None``: in order of length.
        drawn: Clips of an epoch. Fewer than all are drawn without replacement, epoch after epoch,
            until all have come.
        epoch: The next one.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        batch_size: int,
        seed: int | None,
        drawn: int | None = None,
    ) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.drawn = len(self.lengths) if drawn is None else drawn
        self.epoch = 0

    def start_at(self, epoch: int) -> None:
        """Let the next pass be that of an epoch; every pass moves on by one."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.drawn // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        if self.seed is None:
            yield from self._batches(np.argsort(self.lengths, kind="stable"))
            return
        rng = np.random.default_rng([self.seed, self.epoch])
        order = self._draw(self.seed, rng)
        self.epoch += 1
        window = self.batch_size * BUCKET_BATCHES
        windows = [order[start : start + window] for start in range(0, len(order), window)]
        batches = [
            batch
            for each in windows
            for batch in self._batches(each[np.argsort(self.lengths[each], kind="stable")])
        ]
        yield from (batches[index] for index in rng.permutation(len(batches)))

    def _draw(self, seed: int, rng: np.random.Generator) -> np.ndarray:
        """Return the clips of the epoch: the next ones in the sequence of all passes."""
        count = len(self.lengths)
        if self.drawn == count:
            return rng.permutation(count)
        first = self.epoch * self.drawn
        passes = range(first // count, -(-(first + self.drawn) // count))
        orders = [np.random.default_rng([seed, each]).permutation(count) for each in passes]
        start = first % count
        return np.concatenate(orders)[start : start + self.drawn]

    def _batches(self, order: np.ndarray) -> list[list[int]]:
        return [
            order[start : start + self.batch_size].tolist()
            for start in range(0, len(order), self.batch_size)
        ]


class Part(NamedTuple):
    """What one process takes of a batch.

    Attributes:
        batch: Clips, as the model reads them.
        counts: Whether they are its own. A batch may hold fewer clips than there are processes:
            who goes without takes a clip of another, so as to keep step, and counts it for nothing.
    """

    batch: Any
    counts: bool


@dataclass(frozen=True, kw_only=True)
class Batches:
    """The batches of a split: which clips belong together, how they are read, how they are joined.

    Attributes:
        clips: By number.
        buckets: Numbers of the clips of every batch.
        collate: Makes one batch of clips.
    """

    clips: Dataset[Any]
    buckets: LengthBuckets
    collate: Callable[[list[Any]], Any]

    def __len__(self) -> int:
        return len(self.buckets)

    def halved(self) -> Batches:
        """Return the same clips in batches of half the size."""
        now = self.buckets
        smaller = LengthBuckets(now.lengths, -(-now.batch_size // 2), now.seed, now.drawn)
        return Batches(clips=self.clips, buckets=smaller, collate=self.collate)

    def loader(self, index: int, count: int) -> DataLoader[Part]:
        """Return the `Part` of every batch that is taken by one of so many processes.

        It draws nothing from the generator that dropout draws from.
        """
        return DataLoader(
            _Parts(self, index, count),
            batch_size=None,
            sampler=self.buckets,
            collate_fn=_unchanged,
            generator=torch.Generator(),
        )


class _Parts(Dataset[Part]):
    """Parts of batches, by the numbers of the clips of a whole batch.

    A batch is in order of length. Every so-many-th clip of it makes parts of like lengths.
    """

    def __init__(self, batches: Batches, index: int, count: int) -> None:
        self.batches = batches
        self.index = index
        self.count = count

    def __getitem__(self, batch: list[int]) -> Part:
        own = batch[self.index :: self.count]
        clips = [self.batches.clips[number] for number in own or batch[:1]]
        return Part(self.batches.collate(clips), counts=bool(own))


def _unchanged(part: Any) -> Any:
    return part


def token_batches(
    clips: Sequence[ClipTokens],
    targets: np.ndarray,
    sizes: Mapping[str, int],
    *,
    batch_size: int,
    seed: int | None,
    drawn: int | None = None,
) -> Batches:
    """Return batches of (TokenBatch, standardised log views [B]); see `LengthBuckets`."""
    counts = [clip.counts for clip in clips]
    lengths = [max([0, *(count[name] for name in sizes if name in count)]) for count in counts]
    return Batches(
        clips=Listed(clips, targets),
        buckets=LengthBuckets(lengths, batch_size, seed, drawn),
        collate=partial(_labelled_batch, sizes),
    )


def _labelled_batch(
    sizes: Mapping[str, int], clips: Sequence[tuple[ClipTokens, float]]
) -> tuple[TokenBatch, Tensor]:
    return token_batch([clip for clip, _ in clips], sizes), torch.tensor([y for _, y in clips])


def frame_batches(
    table: Rows,
    ids: Sequence[str],
    *,
    batch_size: int,
    seed: int | None,
    drawn: int | None = None,
) -> Batches:
    """Return batches of (uint8 frames [B, T, 3, H, W], lengths [B]); see `LengthBuckets`."""
    lengths = [len(table.row(i, ["timestamps_seconds"])["timestamps_seconds"]) for i in ids]
    return Batches(
        clips=Frames(table, ids),
        buckets=LengthBuckets(lengths, batch_size, seed, drawn),
        collate=stack_frames,
    )


def stack_frames(clips: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Pad clips [T, 3, H, W] with black frames to [B, T, 3, H, W], and return their lengths."""
    lengths = torch.tensor([len(clip) for clip in clips])
    frames = torch.zeros(len(clips), int(lengths.max()), *clips[0].shape[1:], dtype=torch.uint8)
    for row, clip in enumerate(clips):
        frames[row, : len(clip)] = torch.tensor(clip)
    return frames, lengths
