"""The stage of words on screen: what can be read in the stills of every clip, and when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import chain
from typing import Any, Final, NamedTuple
from unicodedata import normalize

import numpy as np

from tiktok_virality.execution import Outcome, StageItem, outcome_of
from tiktok_virality.media.stills import decode_still
from tiktok_virality.models.text_configs import ScreenParameters

SAME_LINE: Final = 0.85
"""Two readings are of one line from this similarity of their letters on (`difflib`), 0 to 1."""

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
            "version": 2,
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
        pixels = np.ascontiguousarray(picture[::-1].transpose(1, 2, 0))  # BGR, [H, W, 3]
        found = self._engine(pixels, use_rec=False)
        if found.boxes is None:
            return
        places = np.asarray(found.boxes, np.float32)  # [lines, corners, (x, y)]
        heights = np.ptp(places[:, :, 1], axis=1) / picture.shape[1]
        chosen = largest_lines(heights, self.parameters.most_lines)
        if not chosen:
            return
        read = self._engine.recognize_txt(self._engine.crop_text_regions(pixels, places[chosen]))
        for place, text, confidence in zip(chosen, read.txts, read.scores, strict=True):
            words = " ".join(normalize("NFKC", str(text)).split())
            if words and confidence >= self.parameters.min_confidence:
                yield Line(words, float(confidence), float(heights[place]), seconds)


def largest_lines(heights: np.ndarray, most: int) -> list[int]:
    """Return which lines to read, in their order: the ``most`` highest that are no shapes.

    Args:
        heights: Of the lines, as shares of the picture, [lines].
        most: Reading takes its time by the line; small print is left out first.
    """
    usable = np.flatnonzero(heights <= LARGEST_LINE)
    by_height = usable[np.argsort(-heights[usable], kind="stable")]
    return sorted(by_height[:most].tolist())


def evenly_spread(count: int, wanted: int) -> list[int]:
    """Return places in the middle of equal parts: of 8, two are 2 and 6."""
    wanted = min(wanted, count)
    return [int((2 * part + 1) * count / (2 * wanted)) for part in range(wanted)]


def merge_lines(read: Iterable[Line]) -> Iterator[dict[str, Any]]:
    """Yield every line once, as it was read with most confidence, with when it was seen.

    Lines of different stills that are nearly the same are one, but for numbers: "DAY 1" and "DAY 2"
    are two. Of lines of the same still, those that say the same are one.
    """
    groups: list[list[Line]] = []
    for line in read:
        group = _group_of(line, groups)
        if group is None:
            groups.append([line])
        else:
            group.append(line)
    for group in groups:
        best = max(group, key=lambda line: line.confidence)
        yield {
            "text": best.text,
            "confidence": best.confidence,
            "height": best.height,
            "first_seconds": group[0].seconds,
            "last_seconds": group[-1].seconds,
        }


def _group_of(line: Line, groups: Sequence[list[Line]]) -> list[Line] | None:
    letters = _letters(line)
    equal = (group for group in groups if _letters(group[0]) == letters)
    alike = (
        group
        for group in groups
        if group[-1].seconds != line.seconds and _are_alike(_letters(group[0]), letters)
    )
    return next(chain(equal, alike), None)


def _letters(line: Line) -> str:
    return "".join(line.text.casefold().split())


def _are_alike(one: str, other: str) -> bool:
    from difflib import SequenceMatcher

    digits = [[letter for letter in text if letter.isdigit()] for text in (one, other)]
    return digits[0] == digits[1] and (
        SequenceMatcher(None, one, other, autojunk=False).ratio() >= SAME_LINE
    )
