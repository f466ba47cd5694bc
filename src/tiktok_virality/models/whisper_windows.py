"""Which stretches of a clip Whisper sees at once, and how far each is padded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tiktok_virality.models.voice_activity import SpeechSpan
from tiktok_virality.models.whisper_configs import SECONDS_PER_STATE
from tiktok_virality.schema import SAMPLE_RATE_HZ

STATE_SAMPLES: Final = round(SECONDS_PER_STATE * SAMPLE_RATE_HZ)
LONGEST_SECONDS: Final = 30
"""Whisper was trained on windows of this length."""

LEAD_SECONDS: Final = 0.5
"""A window begins so long before the first word after a pause, or less."""

MARGIN_SECONDS: Final = 1.0
BUCKET_SECONDS: Final = 2
SHORTEST_SECONDS: Final = 10
"""Whisper hears worse without silence behind the last word, and in less than 10 s altogether.

On real speech the words are nearly those of windows padded to 30 s, in two fifths of the time.
"""


@dataclass(frozen=True)
class Window:
    """A stretch of a clip.

    Attributes:
        clip: Place of the clip in its batch.
        start_state: First encoder state of it, counted from the clip's start.
        samples: How long it is.
    """

    clip: int
    start_state: int
    samples: int

    @property
    def start_sample(self) -> int:
        """First sample of it, counted from the clip's start."""
        return self.start_state * STATE_SAMPLES

    @property
    def end_sample(self) -> int:
        """The sample behind its last."""
        return self.start_sample + self.samples

    @property
    def start_seconds(self) -> float:
        """When it starts in the clip."""
        return self.start_sample / SAMPLE_RATE_HZ

    @property
    def end_seconds(self) -> float:
        """When it ends in the clip."""
        return self.end_sample / SAMPLE_RATE_HZ

    @property
    def states(self) -> int:
        """Encoder states that it fills, the last perhaps in part; at least one."""
        return max(1, -(-self.samples // STATE_SAMPLES))

    @property
    def padded_samples(self) -> int:
        """How long it is with silence behind it.

        A function of its own length alone, so that a batch never changes what a clip becomes.
        """
        seconds = self.samples / SAMPLE_RATE_HZ + MARGIN_SECONDS
        bucket = math.ceil(seconds / BUCKET_SECONDS) * BUCKET_SECONDS
        return min(max(bucket, SHORTEST_SECONDS), LONGEST_SECONDS) * SAMPLE_RATE_HZ

    def speech_seconds(self, speech: Sequence[SpeechSpan]) -> float:
        """Return how long somebody speaks in it."""
        return sum(span.overlap_seconds(self.start_seconds, self.end_seconds) for span in speech)

    def rest_from(self, seconds: float) -> Window:
        """Return what follows a time of the clip inside this window."""
        start_state = round(seconds / SECONDS_PER_STATE)
        return Window(self.clip, start_state, self.end_sample - start_state * STATE_SAMPLES)


def cut_windows(clip: int, samples: int, speech: Sequence[SpeechSpan]) -> list[Window]:
    """Divide a clip into windows of at most 30 s, between words where somebody pauses.

    Args:
        clip: Place of the clip in its batch.
        samples: Its length.
        speech: Where somebody speaks, in order.
    """
    windows, start_state = [], 0
    longest = LONGEST_SECONDS * SAMPLE_RATE_HZ
    while samples - start_state * STATE_SAMPLES > longest:
        cut = _cut_seconds(start_state * SECONDS_PER_STATE, speech)
        end_state = round(cut / SECONDS_PER_STATE)
        windows.append(Window(clip, start_state, (end_state - start_state) * STATE_SAMPLES))
        start_state = end_state
    return [*windows, Window(clip, start_state, samples - start_state * STATE_SAMPLES)]


def _cut_seconds(start: float, speech: Sequence[SpeechSpan]) -> float:
    """Return the end of the longest pause in the second half of the longest window.

    Whisper expects words to begin soon after a window does. Where speech fills that half, or a
    pause reaches beyond it, the window gets its full length.
    """
    earliest, latest = start + LONGEST_SECONDS / 2, start + LONGEST_SECONDS
    ends = [earliest, *(min(max(span.end_seconds, earliest), latest) for span in speech)]
    starts = [*(min(max(span.start_seconds, earliest), latest) for span in speech), latest]
    pauses = [(after - before, before, after) for before, after in zip(ends, starts, strict=True)]
    length, before, after = max(pauses)
    if length <= 0 or after == latest:
        return latest
    return max((before + after) / 2, after - LEAD_SECONDS)
