"""What is written: captions of a theme and a mood, hashtags, and the words on screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

TOPICS: Final[Mapping[str, tuple[str, ...]]] = {
    "kitchen": (
        *("my tomato soup", "this garlic butter pasta", "grandma's lemon cake"),
        *("a quick fish dinner", "homemade pizza dough", "the perfect omelette"),
    ),
    "space": (
        *("the rocket launch", "a trip to the moon", "the rings of saturn"),
        *("life on mars", "the view from orbit", "this tiny galaxy"),
    ),
    "animals": (
        *("my sleepy kitten", "this brave puppy", "the baby elephant"),
        *("a very loud parrot", "our pet rabbit", "the monkey next door"),
    ),
    "fitness": (
        *("my leg day workout", "ten minutes of squats", "this morning run"),
        *("a hard push-up challenge", "stretching before bed", "our gym routine"),
    ),
    "mystery": (
        *("the locked room", "a stranger's letter", "the missing treasure"),
        *("this haunted house", "an unsolved crime", "the secret tunnel"),
    ),
}
"""What captions are about, by theme."""

MOOD_WORDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "statement": (
        *("today it is about {}.", "here is {}.", "i spent the day with {}."),
        *("some thoughts on {}.", "part two of {}."),
    ),
    "question": (
        *("have you ever seen {}?", "what do you think of {}?", "who else likes {}?"),
        *("would you believe {}?", "is it just me, or is {} strange?"),
    ),
    "exclamation": (
        *("wow, {}!", "you have to see {}!", "i can't believe {}!"),
        *("best thing ever: {}!", "{} is amazing!"),
    ),
}
"""Ways to speak of something, by mood."""

REMARKS: Final = (
    "made this in one take.",
    "it took all day.",
    "part of a little series.",
    "tell me in the comments.",
    "first try, be kind.",
    "you asked for more.",
    "sound on for this one.",
    "more tomorrow.",
)
"""What can be added to any caption."""

TAGS: Final = (
    *("fyp", "foryou", "viral", "trending", "daily"),
    *("video", "new", "watch", "explore", "creator"),
)
"""Hashtags that say nothing of a theme."""

SCREEN_PHRASES: Final[Mapping[str, tuple[str, ...]]] = {
    "kitchen": (
        "TOMATO SOUP",
        "FRESH PASTA",
        "ADD BUTTER",
        "HOT PAN",
        "TASTY LUNCH",
        "EASY RECIPE",
    ),
    "space": (
        "ROCKET LAUNCH",
        "MOON LANDING",
        "RED PLANET",
        "DEEP SPACE",
        "MILKY WAY",
        "STAR SHIP",
    ),
    "animals": ("CUTE PUPPY", "SLEEPY CAT", "WILD HORSE", "BABY BEAR", "PET RABBIT", "BIG DOG"),
    "fitness": ("LEG DAY", "PUSH HARDER", "TEN SQUATS", "GYM TIME", "RUN FASTER", "WORK OUT"),
    "mystery": ("SECRET ROOM", "WHO DID IT", "DARK NIGHT", "LOST GOLD", "OLD CRIME", "HIDDEN KEY"),
}
"""Lines of words on screen, by theme."""


def compose_caption(
    theme: str, mood: str, *, remarks: int, hashtags: int, rng: np.random.Generator
) -> str:
    """Return the text of a post.

    Args:
        theme: A key of `TOPICS`.
        mood: A key of `MOOD_WORDINGS`.
        remarks: How many of `REMARKS` follow.
        hashtags: How many of `TAGS` stand beside the two that say what the clip is.
        rng: Chooses the wording.
    """
    opener = str(rng.choice(MOOD_WORDINGS[mood])).format(rng.choice(TOPICS[theme]))
    said = [opener, *rng.permutation(REMARKS)[:remarks]]
    tags = [f"#{tag}" for tag in (*rng.permutation(TAGS)[:hashtags], "synthetic", "demo")]
    return " ".join([*said, *tags])


def compose_screen_text(theme: str, lines: int, rng: np.random.Generator) -> str:
    """Return the words on screen: as many lines of a theme, none twice."""
    return "\n".join(rng.permutation(SCREEN_PHRASES[theme])[:lines])
