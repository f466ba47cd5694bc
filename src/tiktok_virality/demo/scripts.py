"""What is said: a few themes, each with plain sentences that speech recognition spells one way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

THEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "kitchen": (
        "Melt the butter in a warm pan.",
        "Add fresh tomatoes and a little garlic.",
        "Stir the soup until it is thick.",
        "Bake the bread until it is golden.",
        "Pour the cream over the pasta.",
        "Taste the sauce and add some salt.",
        "Chop the onions and the carrots.",
        "Serve the chicken with warm rice.",
    ),
    "space": (
        "The moon moves slowly around the earth.",
        "A rocket is flying to the planet Mars.",
        "Galaxies are made of countless stars.",
        "Black holes can swallow the light.",
        "The telescope looks deep into the universe.",
        "Astronauts float inside the space station.",
        "The sun is a giant ball of gas.",
        "Comets leave a bright tail in the sky.",
    ),
    "animals": (
        "My puppy chased the neighbour's cat.",
        "The kitten is sleeping on the blanket.",
        "This horse loves to eat green apples.",
        "Our rabbit jumped over the fence.",
        "The parrot learned to say hello.",
        "Dogs always know when you are sad.",
        "The little duck follows its mother.",
        "Look how happy this monkey is.",
    ),
    "fitness": (
        "Lift your knees and keep running.",
        "Bend your legs and hold your breath.",
        "Stretch your arms above your head.",
        "Keep your back straight and push.",
        "Drink some water after the workout.",
        "Strong muscles protect your body.",
        "Jump higher and move your feet.",
        "Rest your shoulders and breathe slowly.",
    ),
    "mystery": (
        "Nobody ever opened that old door.",
        "A strange letter arrived at midnight.",
        "The detective found a hidden key.",
        "Somebody was standing in the shadow.",
        "The old house was never empty.",
        "Then the lights suddenly went out.",
        "She heard footsteps behind the wall.",
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
