"""By which sense each modality may know what was planted: what is seen, or what is heard."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tiktok_virality.modalities import EVERYTHING

PICTURE: Final = "picture"
SOUND: Final = "sound"
BOTH: Final = "picture and sound"

SENSES: Final[Mapping[str, str]] = {
    "visual": PICTURE,
    "image": PICTURE,
    "motion": PICTURE,
    "audio": SOUND,
    "sound": SOUND,
    "text": SOUND,  # of what the fixed worlds plant, it knows what is spoken
    "words": SOUND,
    EVERYTHING: BOTH,
}


def sense_of(known: str) -> str:
    """Return by which sense a model knows what was planted; what it knows, for one without."""
    return SENSES.get(known, known)
