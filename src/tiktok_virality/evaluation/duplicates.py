"""Which clips are copies of each other: the same file, the same picture, or much of both senses.

Two clips are copies if

- they are the same file, or hold the same video stream (and, where that shows nothing, the same
  sound); or
- their pictures match: every sampled frame of one has, on average, a frame of the other within
  ``copy_bits`` bits of its perceptual hash, and the other way round; or
- their sound matches and their pictures do not speak against it: Chromaprint's fingerprints differ
  in at most ``sound_error`` of their bits at the best shift, the lengths are within
  ``seconds_apart``, and the pictures are within ``kin_bits``, or neither shows anything.

Sound alone never makes a copy: many clips share a song. Nor does a picture of nothing: frames
without contrast have no hash. Copies of copies are copies, so groups are connected components.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tiktok_virality.media.fingerprint import HASH_BITS, ClipFingerprint
from tiktok_virality.media.limits import DuplicateParameters

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Pairs = NDArray[np.int64]
"""Positions of clips, [P, 2], the smaller first."""

HASH_PARTS: Final = 4
"""Two hashes that differ in fewer bits than this agree in one of so many parts (the pigeonhole
principle: Norouzi et al., 2012, "Fast Search in Hamming Space with Multi-Index Hashing")."""

MAX_SHIFT: Final = 8
"""Eighths of a second that one sound may begin before another."""

LEAST_SOUND: Final = 8
"""Numbers of a fingerprint that must lie side by side, and be different, to be worth comparing."""

SOUND_BITS: Final = 32
PAIRS_AT_ONCE: Final = 20_000


def duplicate_groups(
    clips: pd.DataFrame, fingerprints: Sequence[ClipFingerprint], parameters: DuplicateParameters
) -> list[str]:
    """Name the group of copies that each clip belongs to.

    Args:
        clips: ``content_hash``, ``stream_hash`` and ``duration_seconds``, [N].
        fingerprints: Of the same clips, [N].
        parameters: How much alike copies are.

    Returns:
        A name per clip: the beginning of the least content hash of its group, so it depends
        neither on the order of the clips nor on what else there is.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    sketches = _Sketches(fingerprints, clips["duration_seconds"].to_numpy(float), parameters)
    pairs = np.concatenate([_same_file(clips, fingerprints), sketches.copies()])  # [P, 2]
    shape = (len(clips), len(clips))
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=shape)
    _, group = connected_components(links, directed=False)
    return clips["content_hash"].groupby(group).transform("min").str[:16].tolist()


def picture_distance(first: ClipFingerprint, second: ClipFingerprint) -> float:
    """Return in how many bits of 64 the frames of two clips differ.

    For each frame of one clip the nearest frame of the other is taken, and their distances are
    averaged; of the two directions, the larger counts. Cutting off a beginning or taking other
    frames moves it little. Infinite where a clip shows nothing.
    """
    alone = DuplicateParameters()
    sketches = _Sketches([first, second], np.zeros(2), alone)
    return float(sketches.picture_distances(np.array([[0, 1]]))[0])


def sound_error(first: ClipFingerprint, second: ClipFingerprint) -> float:
    """Return the share of bits in which two sounds differ, at the best shift of up to a second.

    Infinite where too little of either is there, or silence and steady tones only.
    """
    one, other = first.sound, second.sound
    if min(len(np.unique(one)), len(np.unique(other))) < LEAST_SOUND:
        return float("inf")
    shares = [
        np.bitwise_count(left[:size] ^ right[:size]).mean() / SOUND_BITS
        for shift in range(MAX_SHIFT + 1)
        for left, right in ((one[shift:], other), (one, other[shift:]))
        if (size := min(len(left), len(right))) >= LEAST_SOUND
    ]
    return float(min(shares, default=float("inf")))


@dataclass(frozen=True)
class _Sketches:
    """All fingerprints side by side.

    Attributes:
        fingerprints: Of all clips.
        seconds: How long each clip is, [N].
        parameters: How much alike copies are.
    """

    fingerprints: Sequence[ClipFingerprint]
    seconds: NDArray[np.float64]
    parameters: DuplicateParameters

    def copies(self) -> Pairs:
        """Return the pairs whose fingerprints say that they are copies."""
        pairs = self._candidates()
        distance = self.picture_distances(pairs)
        copies: NDArray[np.bool_] = distance <= self.parameters.copy_bits
        for place in np.flatnonzero(~copies & self._may_share_sound(pairs, distance)):
            first, second = (self.fingerprints[index] for index in pairs[place])
            copies[place] = sound_error(first, second) <= self.parameters.sound_error
        return pairs[copies]

    def _may_share_sound(self, pairs: Pairs, distance: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return for which pairs a matching sound would tell copies, [P]."""
        first, second = pairs.T
        near = np.abs(self.seconds[first] - self.seconds[second]) <= self.parameters.seconds_apart
        shows = np.asarray(self._pictures[1].any(axis=1))
        kin = (distance <= self.parameters.kin_bits) | ~(shows[first] | shows[second])
        return near & kin

    def picture_distances(self, pairs: Pairs) -> NDArray[np.float64]:
        """Return `picture_distance` of each pair, [P]."""
        distances = np.full(len(pairs), np.inf)
        hashes, counted = self._pictures
        for begin in range(0, len(pairs), PAIRS_AT_ONCE):
            first, second = pairs[begin : begin + PAIRS_AT_ONCE].T
            apart = hashes[first][:, :, None] ^ hashes[second][:, None, :]  # [K, F, F]
            bits = np.asarray(np.bitwise_count(apart))
            there = _mean(bits.min(axis=2), counted[first])  # [K]
            back = _mean(bits.min(axis=1), counted[second])
            distances[begin : begin + PAIRS_AT_ONCE] = np.maximum(there, back)
        return distances

    @cached_property
    def _pictures(self) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Return hashes [N, F] and which of them count.

        A clip with fewer frames repeats its first, which changes no minimum.
        """
        longest = max([1, *(len(each.picture) for each in self.fingerprints)])
        hashes = np.zeros((len(self.fingerprints), longest), np.uint64)
        counted = np.zeros(hashes.shape, bool)
        for row, each in enumerate(self.fingerprints):
            count = len(each.picture)
            if count:
                hashes[row] = each.picture[0]
                hashes[row, :count] = each.picture
                counted[row, :count] = True
        return hashes, counted

    def _candidates(self) -> Pairs:
        """Return the pairs that share a part of a frame's hash, or a number of their sound."""
        together = _pairs_sharing(self._hash_parts()) + _pairs_sharing(self._sounds())
        first, second = together.nonzero()
        return np.stack([first, second], axis=1)[first < second].astype(np.int64)

    def _hash_parts(self) -> Iterator[NDArray[np.uint64]]:
        width = HASH_BITS // HASH_PARTS
        shifts = np.arange(HASH_PARTS, dtype=np.uint64)
        mask = np.uint64(2**width - 1)
        for each in self.fingerprints:
            parts = (each.picture[:, None] >> (shifts * np.uint64(width))) & mask  # [T, parts]
            yield np.unique(parts + (shifts << np.uint64(width)))

    def _sounds(self) -> Iterator[NDArray[np.uint32]]:
        for each in self.fingerprints:
            heard = np.unique(each.sound)
            yield heard if len(heard) >= LEAST_SOUND else heard[:0]


def _mean(values: NDArray[np.uint8], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the mean of the values that count in each row, [K]; infinite where none do."""
    count = counted.sum(axis=1)
    total = np.where(counted, values, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.inf)


def _pairs_sharing(marks: Iterator[NDArray[Any]]) -> csr_array:
    """Return which clips have a mark in common, bool [N, N]."""
    from scipy.sparse import csr_array

    of_clips = list(marks)
    clip = np.repeat(np.arange(len(of_clips)), [len(each) for each in of_clips])
    mark, number = np.unique(np.concatenate(of_clips), return_inverse=True)
    shape = (len(of_clips), len(mark))
    bears = csr_array((np.ones(len(clip), bool), (clip, number)), shape=shape)
    return bears @ bears.T


def _same_file(clips: pd.DataFrame, fingerprints: Sequence[ClipFingerprint]) -> Pairs:
    """Pair each clip with the first that has the same file or stream.

    Black clips of one encoder have the same stream, so there the sound must be the same, too.
    """
    sounds = ["" if len(each.picture) else each.sound.tobytes().hex() for each in fingerprints]
    positions = pd.Series(np.arange(len(clips)), index=clips.index)
    found = [
        np.stack([positions.groupby(key).transform("min"), positions], axis=1)
        for key in (clips["content_hash"], clips["stream_hash"] + pd.Series(sounds, clips.index))
    ]
    return np.concatenate(found).astype(np.int64)
