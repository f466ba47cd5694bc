"""The stage of words on screen: what can be read in the stills of every clip, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final, NamedTuple
from unicodedata import normalize

import numpy as np

from tiktok_virality.execution import Outcome, StageItem, outcome_of
from tiktok_virality.media.stills import decode_still
from tiktok_virality.models.text_configs import ScreenParameters

SAME_LINE: Final = 0.8
"""Two readings are of one line from this similarity on (`difflib`), 0 to 1."""


LARGEST_LINE: Final = 0.6
"""Of the height of the picture: what is larger is a shape that looks like a letter."""


class Line(NamedTuple):
    """A line of words as it was read in one still.

    Attributes:
        text: The words.
        confidence: 0 to 1.
        height: Of the line, as a share of the picture.
        seconds: Of the still.
    """

    text: str
    confidence: float
    height: float
    seconds: float


@dataclass
class ScreenReader:
    """Reads words on screen, by RapidOCR with the PP-OCR models that its package carries.

    Columns: ``text``, every line once, in the order of appearance; ``lines``, of each ``text``,
    ``confidence``, ``height`` (share of the picture), ``first_seconds`` and ``last_seconds``.

    Attributes:
        parameters: Which stills, and how large.
    """

    parameters: ScreenParameters
    _engine: Any = field(default=None, init=False, repr=False)

    def identity(self) -> Mapping[str, Any]:
        """Return what decides the result; the version of the package decides the models."""
        return {
            "version": 1,
            "screen": self.parameters.model_dump(mode="json"),
            "rapidocr": version("rapidocr") if self.parameters.enabled else None,
        }

    def setup(self) -> None:
        """Load the models; a worker has one core."""
        import cv2
        from rapidocr import RapidOCR

        cv2.setNumThreads(1)
        self._engine = RapidOCR(
            params={
                "Global.log_level": "error",
                "Global.use_cls": False,  # words on screen stand upright
                "Det.limit_type": "max",
                "Det.limit_side_len": self.parameters.longest_side,
                "Rec.rec_batch_num": 1,  # so that no line depends on its neighbours
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            }
        )

    def __call__(self, items: Sequence[StageItem]) -> list[Outcome]:
        """Read a batch of clips."""
        return [outcome_of(item, self._read) for item in items]

    def _read(self, item: StageItem) -> dict[str, Any]:
        row = item.payload.load()
        seconds = row["still_seconds"]
        places = evenly_spread(len(seconds), self.parameters.stills)
        read = [
            line
            for place in places
            for line in self._lines(decode_still(row["stills"][place]), float(seconds[place]))
        ]
        merged = list(merge_lines(read))
        return {"text": "\n".join(line["text"] for line in merged), "lines": merged}

    def _lines(self, picture: np.ndarray, seconds: float) -> Iterator[Line]:
        """Yield what is read in one still, uint8 [3, H, W], from top to bottom."""
        found = self._engine(np.ascontiguousarray(picture.transpose(1, 2, 0)[:, :, ::-1]))
        if found.txts is None:
            return
        for box, text, confidence in zip(found.boxes, found.txts, found.scores, strict=True):
            words = " ".join(normalize("NFKC", str(text)).split())
            height = float(np.ptp(np.asarray(box)[:, 1])) / picture.shape[1]
            certain = confidence >= self.parameters.min_confidence
            if words and certain and height <= LARGEST_LINE:
                yield Line(words, float(confidence), height, seconds)


def evenly_spread(count: int, wanted: int) -> list[int]:
    """Return places in the middle of equal parts: of 8, two are 2 and 6."""
    wanted = min(wanted, count)
    return [int((2 * part + 1) * count / (2 * wanted)) for part in range(wanted)]


def merge_lines(read: Iterable[Line]) -> Iterator[dict[str, Any]]:
    """Yield every line once, as it was read with most confidence, with when it was seen."""
    from difflib import SequenceMatcher

    groups: list[list[Line]] = []
    for line in read:
        for group in groups:
            one, other = group[0].text.casefold(), line.text.casefold()
            if SequenceMatcher(None, one, other).ratio() >= SAME_LINE:
                group.append(line)
                break
        else:
            groups.append([line])
    for group in groups:
        best = max(group, key=lambda line: line.confidence)
        yield {
            "text": best.text,
            "confidence": best.confidence,
            "height": best.height,
            "first_seconds": group[0].seconds,
            "last_seconds": group[-1].seconds,
        }
