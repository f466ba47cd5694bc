"""Worlds that are drawn: which few of the many factors count, with which signs and shapes.

Natural log views are the sum of a base, the effects of a world's causes, a creator effect and
noise. Each effect has mean 0 and, over all clips that can be, the share of the variance that the
world gives it; the factors are independent, so the shares add up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Final, Literal

import numpy as np
import pandas as pd

from tiktok_virality.demo.config import DemoParameters
from tiktok_virality.demo.factors import (
    ABSENT,
    BACKING_MUSIC_SHARE,
    FACTORS,
    SENSES,
    Factor,
    Needed,
    factor_table,
)
from tiktok_virality.demo.planting import BASE_LOG_VIEWS, stream
from tiktok_virality.schema import Config

Shape = Literal["linear", "threshold", "hump", "product", "scores"]

CAUSES: Final = (3, 6)
"""Fewest and most factors that count in a world."""
EXPLAINED_SHARE: Final = (0.70, 0.80)
"""Of the variance of log views, by the causes together."""
CREATOR_SHARE: Final = 0.09
"""A standard deviation of 0.3 of the total."""
SPREAD: Final = 1.5
"""Standard deviation of log views."""
WEIGHT: Final = (0.6, 1.4)
"""Of a factor that counts, beside others."""
SHAPES: Final[tuple[Shape, ...]] = ("linear", "linear", "threshold", "hump")
"""Of a number that counts by itself, all equally likely."""
PRODUCT_SHARE: Final = 0.5
"""Of the worlds, those in which two of the numbers that count do so as a product."""
PRODUCT_FLOOR: Final = 1.2
"""Added to both factors of a product: at 0 neither would count without the other."""
POINT: Final = (0.35, 0.65)
"""Where a threshold or a hump lies, as a share of the range."""
STEEPNESS: Final = 0.05
HUMP_WIDTH: Final = 0.2
"""Both as shares of the range."""
GRID: Final = 400


class Cause(Config):
    """A factor that counts, or two that count together.

    Attributes:
        factors: One name, or two of a product.
        shape: How log views follow it.
        sign: 1 where more is better, -1 where less is; of a hump, whether its middle is.
        signs: Of the two factors of a product, each by itself.
        share: Of the variance of log views.
        point: Where a threshold or a hump lies, as a share of the factor's range.
        scores: What each category is worth, in the order of its options: mean 0, variance 1.
    """

    factors: tuple[str, ...]
    shape: Shape
    sign: int = 1
    signs: tuple[int, ...] = ()
    share: float
    point: float = 0.5
    scores: tuple[float, ...] = ()

    @property
    def name(self) -> str:
        """Its factors, such as ``"zoom"`` or ``"zoom_x_pitch"``."""
        return "_x_".join(self.factors)

    @property
    def column(self) -> str:
        """The column that its effect is in."""
        return f"{self.name}_effect"

    @property
    def senses(self) -> frozenset[str]:
        """By which senses it is known."""
        return frozenset(FACTORS[name].sense for name in self.factors)


class LotteryWorld(Config):
    """A rule that was drawn.

    Attributes:
        seed: It was drawn from.
        number: Which of the worlds of that seed.
        causes: What counts.
        creator_share: Of the variance of log views, by who posts.
        noise_share: By nothing that can be known.
    """

    seed: int
    number: int
    causes: tuple[Cause, ...]
    creator_share: float
    noise_share: float

    @property
    def name(self) -> str:
        """Such as ``"lottery_03"``."""
        return f"lottery_{self.number:02d}"

    @property
    def factors(self) -> tuple[str, ...]:
        """The factors that count."""
        return tuple(name for cause in self.causes for name in cause.factors)

    @property
    def effects(self) -> tuple[str, ...]:
        """Columns of `plant_lottery` that add up to log views less their base."""
        return (*(cause.column for cause in self.causes), "creator_effect", "noise")


def draw_world(seed: int, number: int) -> LotteryWorld:
    """Draw which factors count and how.

    Factors are dealt like cards: none counts again before all have, so that the first worlds of a
    seed are about everything.

    Args:
        seed: Of all worlds.
        number: Of this one, from 0.
    """
    hand = _hands(seed, number)
    rng = stream(seed, f"world {number}")
    groups = _groups(hand, rng)
    explained = rng.uniform(*EXPLAINED_SHARE)
    weights = np.array([len(group) * rng.uniform(*WEIGHT) for group in groups])
    shares = explained * weights / weights.sum()
    causes = tuple(_cause(g, float(s), rng) for g, s in zip(groups, shares, strict=True))
    noise = 1 - explained - CREATOR_SHARE
    return LotteryWorld(
        seed=seed,
        number=number,
        causes=causes,
        creator_share=CREATOR_SHARE,
        noise_share=float(noise),
    )


def plant_lottery(clips: pd.DataFrame, world: LotteryWorld, seed: int) -> pd.DataFrame:
    """Return the clips with the effects of a world, ``log_views`` and ``views``.

    Args:
        clips: Of `plan_clips`.
        world: The rule.
        seed: Of the noise and of what creators are worth, in this world alone.

    Returns:
        The clips without the columns of another world; see `LotteryWorld.effects`.
    """
    effects = {cause.column: cause_effect(clips, cause) for cause in world.causes}
    effects["creator_effect"] = _creator_effect(clips["creator"], world, seed)
    noise = stream(seed, f"noise {world.name}").standard_normal(len(clips))
    effects["noise"] = SPREAD * np.sqrt(world.noise_share) * noise
    log_views = BASE_LOG_VIEWS + sum(effects.values())
    views = np.rint(np.exp(log_views)).astype(np.int64)
    others = [name for name in clips if str(name).endswith("_effect")]
    return clips.drop(columns=others).assign(**effects, log_views=log_views, views=views)


def cause_effect(clips: pd.DataFrame, cause: Cause) -> np.ndarray:
    """Return what a cause adds to the log views of each clip, [N]; 0 where it is absent."""
    table = factor_table(clips)
    scale = SPREAD * np.sqrt(cause.share / _present_share(cause))
    if cause.shape == "product":
        first, second = (_signed(table, cause, at) for at in (0, 1))
        raw = first * second + PRODUCT_FLOOR * (first + second)
        scale /= np.sqrt(1 + 2 * PRODUCT_FLOOR**2)
        absent = table[list(cause.factors)].isna().any(axis=1).to_numpy()
        return np.asarray(np.where(absent, 0.0, scale * raw))
    return np.asarray(scale * _standard(table[cause.factors[0]], cause))


def perfect_lottery(clips: pd.DataFrame, world: LotteryWorld) -> pd.DataFrame:
    """Return the log views that a perfect model of each set of senses would predict, by clip.

    Columns are senses joined by ``+``, in the order of `SENSES`. Of a product of which one factor
    is known, a perfect model knows what that factor does on average over the other.
    """
    known = {}
    for senses in sense_sets():
        parts = [_known_part(clips, cause, frozenset(senses)) for cause in world.causes]
        known["+".join(senses)] = BASE_LOG_VIEWS + np.sum(parts, axis=0)
    return pd.DataFrame(known, index=clips.index)


def reachable_lottery(planted_clips: pd.DataFrame, world: LotteryWorld) -> dict[str, float]:
    """Return the R² of `perfect_lottery` on given clips, for creators nobody has seen."""
    truth = planted_clips["log_views"]
    spread = float(((truth - truth.mean()) ** 2).sum())
    errors = perfect_lottery(planted_clips, world).rsub(truth, axis=0).pow(2).sum()
    return {str(name): 1 - float(error) / spread for name, error in errors.items()}


def lottery_factors(clips: pd.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Return all factors as numbers, as a model may read them, and their names.

    Returns:
        float64 [N, F], every value finite: numbers as they are, or the middle of their range where
        a clip lacks what they are about; a column of 0 and 1 for every category, absence included.
    """
    table = factor_table(clips)
    columns: dict[str, np.ndarray] = {}
    for name, factor in FACTORS.items():
        if not factor.options:
            middle = (factor.low + factor.high) / 2
            columns[name] = table[name].fillna(middle).to_numpy(dtype=np.float64)
            continue
        absent = () if factor.needs == "always" else (ABSENT,)
        for option in (*factor.options, *absent):
            columns[f"{name}={option}"] = (table[name] == option).to_numpy(dtype=np.float64)
    return np.stack(list(columns.values()), axis=1), list(columns)


def sense_sets() -> tuple[tuple[str, ...], ...]:
    """Return every set of senses, single ones first."""
    sizes = range(1, len(SENSES) + 1)
    return tuple(each for size in sizes for each in combinations(SENSES, size))


def shape_effect(unit: np.ndarray, shape: Shape, point: float) -> np.ndarray:
    """Return how log views follow a factor, standardised by nobody.

    Args:
        unit: The factor as a share of its range, [N].
        shape: Of a single number.
        point: Where a threshold or a hump lies.
    """
    if shape == "threshold":
        return np.asarray(1 / (1 + np.exp(-(unit - point) / STEEPNESS)))
    if shape == "hump":
        return np.asarray(np.exp(-0.5 * ((unit - point) / HUMP_WIDTH) ** 2))
    return unit


def _hands(seed: int, number: int) -> list[str]:
    """Return the factors that count in a world: what is dealt after all worlds before it."""
    sizes = stream(seed, "worlds").integers(CAUSES[0], CAUSES[1] + 1, number + 1)
    deck = _deck(seed)
    waiting: list[str] = []
    hand: list[str] = []
    for size in sizes:
        hand = []
        while len(hand) < size:
            card = next((each for each in waiting if each not in hand), None)
            if card is None:
                card = next(deck)
            else:
                waiting.remove(card)
            (waiting if card in hand else hand).append(card)
    return hand


def _deck(seed: int) -> Iterator[str]:
    rng = stream(seed, "deck")
    while True:
        yield from rng.permutation(list(FACTORS)).tolist()


def _groups(hand: Sequence[str], rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Return the factors one by one, or with two numbers together."""
    numbers = [name for name in hand if not FACTORS[name].options]
    if len(numbers) < 2 or rng.uniform() >= PRODUCT_SHARE:
        return [(name,) for name in hand]
    pair = (numbers[0], numbers[1])
    return [pair, *((name,) for name in hand if name not in pair)]


def _cause(factors: tuple[str, ...], share: float, rng: np.random.Generator) -> Cause:
    signs = tuple(int(sign) for sign in rng.choice([-1, 1], len(factors)))
    if len(factors) == 2:
        return Cause(factors=factors, shape="product", signs=signs, share=share)
    options = FACTORS[factors[0]].options
    if options:
        scores = rng.permutation(_standardised(np.linspace(-1, 1, len(options))))
        return Cause(factors=factors, shape="scores", share=share, scores=tuple(scores.tolist()))
    return Cause(
        factors=factors,
        shape=SHAPES[rng.integers(len(SHAPES))],
        sign=signs[0],
        share=share,
        point=float(rng.uniform(*POINT)),
    )


def _standard(values: pd.Series[float], cause: Cause) -> np.ndarray:
    """Return the effect of one factor: mean 0 and variance 1 over clips that have it, [N]."""
    factor = FACTORS[cause.factors[0]]
    if cause.shape == "scores":
        scores = dict(zip(factor.options, cause.scores, strict=True))
        weights = _option_shares(factor)
        worth = np.array(cause.scores)
        mean = weights @ worth
        deviation = np.sqrt(weights @ (worth - mean) ** 2)
        found = values.map(scores).to_numpy(dtype=float)
        return np.nan_to_num((found - mean) / deviation)
    unit, possible = _unit(values, factor), _possible(factor)
    design = shape_effect(possible, cause.shape, cause.point)
    raw = shape_effect(unit, cause.shape, cause.point)
    return np.nan_to_num(cause.sign * (raw - design.mean()) / design.std())


def _signed(table: pd.DataFrame, cause: Cause, at: int) -> np.ndarray:
    """Return a factor of a product, standardised and turned by its sign; 0 where absent, [N]."""
    factor = FACTORS[cause.factors[at]]
    possible = _possible(factor)
    unit = _unit(table[factor.name], factor)
    return np.nan_to_num(cause.signs[at] * (unit - possible.mean()) / possible.std())


def _unit(values: pd.Series[float], factor: Factor) -> np.ndarray:
    return (values.to_numpy(dtype=float) - factor.low) / (factor.high - factor.low)


def _possible(factor: Factor) -> np.ndarray:
    """Return equally likely values of a number, as shares of its range."""
    if factor.whole:
        return np.linspace(0, 1, int(factor.high - factor.low) + 1)
    return (np.arange(GRID) + 0.5) / GRID


def _option_shares(factor: Factor) -> np.ndarray:
    if factor.name == "music":
        share = _present_shares()["music"]
        return np.array([1 - share, share])
    return np.full(len(factor.options), 1 / len(factor.options))


def _present_shares() -> dict[Needed, float]:
    """Return which shares of the clips have what factors need, by the parameters' defaults."""
    clips = DemoParameters()
    lines = FACTORS["screen_lines"].high
    return {
        "always": 1.0,
        "track": 1 - clips.silent_share,
        "speech": clips.speaking_share,
        "music": clips.music_share + BACKING_MUSIC_SHARE * clips.speaking_share,
        "screen words": lines / (lines + 1),
    }


def _present_share(cause: Cause) -> float:
    """Return which share of the clips has all that a cause is about."""
    shares = _present_shares()
    needs = {FACTORS[name].needs for name in cause.factors}
    if {"speech", "music"} <= needs:
        return BACKING_MUSIC_SHARE * shares["speech"]
    return min(shares[each] for each in needs)  # all others lie within each other


def _known_part(clips: pd.DataFrame, cause: Cause, senses: frozenset[str]) -> np.ndarray:
    if cause.senses <= senses:
        return cause_effect(clips, cause)
    here = [at for at, name in enumerate(cause.factors) if FACTORS[name].sense in senses]
    if not here:
        return np.zeros(len(clips))
    table = factor_table(clips)
    scale = SPREAD * np.sqrt(cause.share / (1 + 2 * PRODUCT_FLOOR**2) / _present_share(cause))
    known, other = cause.factors[here[0]], cause.factors[1 - here[0]]
    share = _present_shares()[FACTORS[other].needs]
    there = table[known].notna().to_numpy()
    return np.where(there, share * scale * PRODUCT_FLOOR * _signed(table, cause, here[0]), 0.0)


def _creator_effect(creators: pd.Series[str], world: LotteryWorld, seed: int) -> np.ndarray:
    """Return what creators are worth in a world; the same whoever else posts."""
    worth = {
        name: stream(seed, f"{world.name} {name}").standard_normal() for name in creators.unique()
    }
    return np.asarray(SPREAD * np.sqrt(world.creator_share) * creators.map(worth).to_numpy(float))


def _standardised(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()
