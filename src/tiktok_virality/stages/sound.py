"""The sound stage: what can be measured of every clip's sound, token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tiktok_virality.execution import Outcome, StageItem, outcome_of
from tiktok_virality.models.sound_configs import SoundParameters
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.stages.waveforms import load_waveforms

if TYPE_CHECKING:
    from tiktok_virality.models.sound_tagger import SoundTagger
    from tiktok_virality.models.voice_activity import VoiceDetector


@dataclass
class SoundReader:
    """Measures waveforms: ``tokens`` float16 [T, D], and ``timestamps_seconds`` float32 [T].

    Each clip is measured as if it were alone, so a result depends on no batch. What a token holds
    is said in `media.sound.tokens`; after it comes what the tagger says, where there is one.

    Attributes:
        parameters: How sounds become tokens.
        tagger: The file of the tagger, where there is one.
    """

    parameters: SoundParameters
    tagger: Checkpoint | None = None
    _voice: VoiceDetector | None = field(default=None, init=False, repr=False)
    _network: SoundTagger | None = field(default=None, init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result; where the tagger lies and the batch size do not."""
        tagger = self.parameters.tagger
        return {
            "version": 2,
            "seconds_per_token": self.parameters.seconds_per_token,
            "tagger": tagger and tagger.model_dump(mode="json", exclude={"path"}),
            "checkpoint": self.tagger and self.tagger.digest,
        }

    def setup(self) -> None:
        """Load the voice detector and the tagger, and what is compiled."""
        from tiktok_virality.media.sound.compiled import compile_for_sound
        from tiktok_virality.models.voice_activity import VoiceDetector

        compile_for_sound()
        self._voice = VoiceDetector()
        if self.parameters.tagger is not None and self.tagger is not None:
            from tiktok_virality.models.sound_tagger import SoundTagger

            self._network = SoundTagger(self.parameters.tagger, self.tagger)

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Measure a batch of clips; one whose waveform cannot be read fails alone."""
        assert self._voice is not None
        waveforms, failed = load_waveforms(items)
        heard = self._voice.speech_probabilities(list(waveforms.values()))
        speech = dict(zip(waveforms, heard, strict=True))

        def measure(item: StageItem) -> dict[str, Any]:
            return self._measure(waveforms[item.video_id], speech[item.video_id])

        readable = [item for item in items if item.video_id in waveforms]
        return failed + [outcome_of(item, measure) for item in readable]

    def _measure(self, samples: np.ndarray, speech: np.ndarray) -> dict[str, Any]:
        from tiktok_virality.media.sound.tokens import describe_sound

        seconds = self.parameters.seconds_per_token
        described = describe_sound(samples, speech, seconds)
        tokens, parts = described.values, described.parts
        if self._network is not None:
            said = self._network.listen(samples, seconds, len(tokens))
            tokens, parts = np.concatenate([tokens, said], axis=1), (*parts, said.shape[1])
        return {
            "tokens": tokens.astype(np.float16),
            "token_seconds": seconds,
            "timestamps_seconds": (np.arange(len(tokens)) * seconds).astype(np.float32),
            "parts": np.array(parts, np.int32),
        }
