"""What is said: a few themes, each with plain sentences that speech recognition spells one way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

THEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "kitchen": (
        "Taste the sauce and add some salt.",
        "Add fresh tomatoes and a little garlic.",
        "Serve the fish with lemon and butter.",
        "Cut the potatoes into small pieces.",
        "Melt the butter in a warm pan.",
    ),
    "space": (
        "A rocket is flying to the planet Mars.",
        "The spaceship landed on the moon.",
        "The spaceship is flying to the moon.",
        "The rocket landed on the planet Mars.",
    ),
    "animals": (
        "My puppy chased the neighbour's cat.",
        "Two cats are sleeping on the sofa.",
        "Monkeys climb the trees in the jungle.",
        "The elephant is drinking water.",
        "The dog is playing in the garden.",
    ),
    "fitness": (
        "Lift your knees and keep running.",
        "Jump higher and move your feet.",
        "Rest your shoulders and breathe slowly.",
        "Stretch your arms above your head.",
        "Keep your back straight and push.",
    ),
    "mystery": (
        "The police found a secret room.",
        "A stranger was waiting in the dark.",
        "The old house was never empty.",
        "The treasure was gone in the morning.",
    ),
}
"""Themes and their sentences; every sentence fits into the shortest clip at the slowest speed."""

SECONDS_TIMES_RATE_PER_CHARACTER: Final = 10.9
"""A character takes at most this divided by the words per minute: measured over all voices."""
PAUSE_SECONDS_TIMES_RATE: Final = 70.0
"""The same of the pause between two sentences."""


def compose_script(
    theme: str, *, words_per_minute: int, seconds: float, rng: np.random.Generator
) -> str:
    """Return sentences of a theme in random order, as many as can be said in the time.

    Args:
        theme: A key of `THEMES`.
        words_per_minute: How fast it will be said.
        seconds: How long it may take at most.
        rng: Decides the order.
    """
    pause = PAUSE_SECONDS_TIMES_RATE / words_per_minute
    chosen: list[str] = []
    taken = 0.0
    for index in rng.permutation(len(THEMES[theme])):
        sentence = THEMES[theme][index]
        taken += longest_seconds(sentence, words_per_minute)
        if taken > seconds:
            break
        chosen.append(sentence)
        taken += pause
    return " ".join(chosen)


def longest_seconds(sentence: str, words_per_minute: int) -> float:
    """Return an upper bound of the time that a sentence takes."""
    return len(sentence) * SECONDS_TIMES_RATE_PER_CHARACTER / words_per_minute
