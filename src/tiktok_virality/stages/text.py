"""The text stage: what every clip says in words, each word known by where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from unicodedata import category

import numpy as np

from tiktok_virality.execution import Done, Outcome, StageItem
from tiktok_virality.models.text_configs import TextParameters
from tiktok_virality.models.text_encoder import Encode, load_text_encoder
from tiktok_virality.models.weights import Checkpoint

FIELDS: Final = ("caption", "hashtags", "transcript", "screen")
"""Where words stand: written below the clip, as tags, spoken, or on screen."""

WRITING: Final = (
    *("present", "log_characters", "log_words", "capitals", "digits", "symbols"),
    *("questions", "exclamations"),
)
"""How a text is written, whatever it says: whether it is there, its length, and shares of its
characters; symbols are what Unicode calls so, emoji above all."""

QUESTIONS: Final = frozenset("?\uff1f\u061f\u00bf")
EXCLAMATIONS: Final = frozenset("!\uff01\u00a1")


@dataclass
class TextReader:
    """Embeds the words of clips: column ``tokens`` float16 [1, 4 * (E + 8)].

    One token per clip, with a block for each of the `FIELDS`: the vector of the text, then its
    `WRITING`. A block of a field that is not there is all zeros. The mean over several tokens, one
    per field, would mix what is said with what is written. The texts are columns, too, and
    ``words`` holds all of them.

    Attributes:
        parameters: Which encoder, and how much of a text it reads.
        checkpoint: Its weights.
    """

    parameters: TextParameters
    checkpoint: Checkpoint
    _encode: Encode | None = field(default=None, init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result; what is on screen has been read already."""
        return {
            "version": 4,
            "text": self.parameters.model_dump(mode="json", include={"library", "max_characters"}),
            "checkpoint": self.checkpoint.digest,
        }

    def setup(self) -> None:
        """Load the encoder."""
        self._encode = load_text_encoder(self.parameters, self.checkpoint)

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Embed a batch of clips, text by text."""
        return [
            Done(video_id=item.video_id, columns=self._embed(dict(item.payload))) for item in items
        ]

    def _embed(self, texts: Mapping[str, str]) -> dict[str, Any]:
        blocks = [self._block(texts[name]) for name in FIELDS]
        vector = len(blocks[0]) - len(WRITING)
        return {
            "tokens": np.concatenate(blocks)[None].astype(np.float16),
            "parts": np.array([vector, len(WRITING)] * len(FIELDS), np.int32),
            **texts,
            "words": "\n".join(text for text in texts.values() if text),
        }

    def _block(self, text: str) -> np.ndarray:
        assert self._encode is not None
        vector = self._encode(text or " ")
        return np.concatenate([vector, writing(text)]) * bool(text)


def writing(text: str) -> np.ndarray:
    """Return the numbers of `WRITING`, float32 [8]."""
    count = max(len(text), 1)
    return np.array(
        [
            bool(text),
            np.log1p(len(text)),
            np.log1p(len(text.split())),
            sum(letter.isupper() for letter in text) / count,
            sum(letter.isdigit() for letter in text) / count,
            sum(category(letter).startswith("S") for letter in text) / count,
            sum(letter in QUESTIONS for letter in text) / count,
            sum(letter in EXCLAMATIONS for letter in text) / count,
        ],
        np.float32,
    )
