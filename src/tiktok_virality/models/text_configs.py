"""What the text pipeline may be told. Reading it loads no library of text."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tiktok_virality.schema import Config


class ScreenParameters(Config):
    """How words on screen are read.

    Attributes:
        enabled: Whether they are read at all; without, the package of the extra ``ocr`` is not
            needed.
        stills: Of a clip that are read, evenly spread.
        longest_side: Stills are scaled down to it before words are looked for, in pixels.
        most_lines: Of a still that are read, the largest ones; each takes 0.02 to 0.05 s.
        min_confidence: Lines that are less certain are dropped.
    """

    enabled: bool = True
    stills: int = Field(default=2, ge=1)
    longest_side: int = Field(default=512, ge=64)
    most_lines: int = Field(default=16, ge=1)
    min_confidence: float = Field(default=0.8, ge=0, le=1)


class TextParameters(Config):
    """Which encoder reads what a clip says in words.

    Attributes:
        library: ``use``: the multilingual Universal Sentence Encoder that its package carries.
            ``sentence_transformers``: any model of that library.
        model: Of sentence-transformers: its name, or the folder that it is in.
        max_characters: What is longer, in one field, is cut off.
        screen: How words on screen are read.
        batch_size: Clips per part file.
    """

    library: Literal["use", "sentence_transformers"] = "use"
    model: str | None = None
    max_characters: int = Field(default=4000, ge=1)
    screen: ScreenParameters = ScreenParameters()
    batch_size: int = Field(default=32, ge=1)
