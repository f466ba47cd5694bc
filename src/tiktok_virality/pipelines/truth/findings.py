"""What the benchmark finds, as it is written to JSON."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from tiktok_virality.models.roles import Regime, Role
from tiktok_virality.pipelines.reporting.json_values import json_ready
from tiktok_virality.schema import Config, DataError

Found = TypeVar("Found")


class ModelScore(Config):
    """What one model reaches on the test clips of one world.

    Attributes:
        model: Its name.
        regime: What it may know.
        role: What part it plays.
        modality: What it knows of a clip.
        r2: R² with the main seed.
        r2_low: Lower end of its interval.
        r2_high: Its upper end.
        r2_mean: Mean over the seeds.
        r2_sd: Standard deviation over the seeds; ``None`` for one seed.
        seeds: How many there are.
        skill_mean: Share of the training mean's squared error that it does away with.
        skill_mean_low: Lower end of its interval.
        skill_mean_high: Its upper end.
        spearman: Rank correlation; ``None`` for a constant.
        reachable: R² of a perfect model of the same modality on these clips; ``None`` where the
            model knows neither picture nor sound, or who posts.
        share: r2 / reachable; ``None`` where next to nothing is reachable.
        share_mean: The same of the mean over the seeds.
    """

    model: str
    regime: Regime
    role: Role
    modality: str
    r2: float
    r2_low: float | None
    r2_high: float | None
    r2_mean: float
    r2_sd: float | None
    seeds: int
    skill_mean: float
    skill_mean_low: float | None
    skill_mean_high: float | None
    spearman: float | None
    reachable: float | None
    share: float | None
    share_mean: float | None


class Gain(Config):
    """What the ensemble gains on another model: MSE of that model less that of the ensemble.

    Attributes:
        reference: The other model.
        role: What part it plays.
        gain: With the main seed, clip by clip.
        low: Lower end of its interval.
        high: Its upper end.
        p_adjusted: Of a paired test by creator, after Holm's correction; ``None`` without one.
        outcome: Whether the ensemble is better, worse or not distinguishable.
        seeds_above_zero: Seeds with which the whole interval lies above zero.
        seeds: How many there are.
    """

    reference: str
    role: Role
    gain: float
    low: float | None
    high: float | None
    p_adjusted: float | None
    outcome: str
    seeds_above_zero: int
    seeds: int


class Covered(Config):
    """How often intervals of one level held the truth.

    Attributes:
        level: What they promise.
        coverage: What they held; ``None`` where there were no intervals.
        low: Lower end of its 95 % interval, over creators, or of a mean over worlds; ``None`` where
            there is none.
        high: Its upper end.
    """

    level: float
    coverage: float | None
    low: float | None = None
    high: float | None = None


class Leak(Config):
    """R² of one model when creators may stand on both sides of the split, and when not.

    Attributes:
        model: Its name.
        regime: What it may know.
        random: R² under each redrawing of a random split.
        group: The same of splits by creator.
    """

    model: str
    regime: Regime
    random: tuple[float, ...]
    group: tuple[float, ...]


class Check(Config):
    """One thing that must hold for the results of a world to be believed.

    Attributes:
        name: What is looked at, in a few words.
        expected: What must be.
        measured: What is.
        passed: Whether it is as it must be.
        failing: Models or levels that are not.
    """

    name: str
    expected: str
    measured: str
    passed: bool
    failing: tuple[str, ...] = ()


class WorldFindings(Config):
    """What one world shows.

    Attributes:
        world: Its name.
        clips: Test clips.
        creators: Of these.
        reachable: R² of a perfect model of each modality on these clips.
        scores: Of every model, the best first.
        gains: Of the ensemble on what it must beat, the least first.
        variants: The same on other ways of fusing: no condition.
        coverage: Of the intervals for single clips.
        leaks: What a random split would add.
        checks: What must hold.
    """

    world: str
    clips: int
    creators: int
    reachable: dict[str, float]
    scores: tuple[ModelScore, ...]
    gains: tuple[Gain, ...]
    variants: tuple[Gain, ...]
    coverage: tuple[Covered, ...]
    leaks: tuple[Leak, ...]
    checks: tuple[Check, ...]

    def score(self, model: str) -> ModelScore:
        """Return the score of a model.

        Raises:
            DataError: There is no such model.
        """
        for score in self.scores:
            if score.model == model:
                return score
        raise DataError(
            f"The world {self.world!r} has no test score of {model!r}. Run it again: "
            f"`kedro run --env truth --pipeline truth --tags {self.world}`."
        )


class TruthFindings(Config):
    """What all worlds show together.

    Attributes:
        worlds: Those that were run.
        missing: Those that were not.
        coverage: The mean over worlds and divisions.
        checks: What must hold over all worlds.
    """

    worlds: tuple[WorldFindings, ...]
    missing: tuple[str, ...]
    coverage: tuple[Covered, ...]
    checks: tuple[Check, ...] = Field(default=())


class PlayedWorld(Config):
    """What came of one drawn world.

    Attributes:
        world: Its name.
        rule: What counts in it, in words.
        reachable: R² of a perfect model on the test clips.
        shares: R² of every model, as a share of it.
        modalities: What every model knows of a clip.
        found: Of every cause its factors, and how far the ensemble goes along with its effect.
        cost_of_noise: R² that the ensemble loses by a modality of pure noise besides.
    """

    world: str
    rule: str
    reachable: float
    shares: dict[str, float]
    modalities: dict[str, str]
    found: tuple[tuple[tuple[str, ...], float], ...]
    cost_of_noise: float


class MeanShare(Config):
    """What share of the reachable R² a model finds, on average over the drawn worlds.

    Attributes:
        model: Its name.
        role: What part it plays.
        modality: What it knows of a clip.
        mean: Over the worlds.
        low: Lower end of its 95 % interval, every world one observation.
        high: Its upper end.
        gain: Of the ensemble on it, paired by world.
        gain_low: Lower end of its interval.
        gain_high: Its upper end.
    """

    model: str
    role: Role
    modality: str
    mean: float
    low: float
    high: float
    gain: float
    gain_low: float
    gain_high: float


class FactorFound(Config):
    """How much of a factor's effects the ensemble found.

    Attributes:
        factor: Its name.
        title: In words.
        sense: Whether it is seen, heard or read.
        worlds: In how many it counted.
        slope: How far predictions go along with its effect, the mean over them: 1 is all of it.
    """

    factor: str
    title: str
    sense: str
    worlds: int
    slope: float


class LotteryFindings(Config):
    """What the drawn worlds show together.

    Attributes:
        worlds: One by one.
        models: The mean of every model, the best first.
        factors: The best found first.
        cost_of_noise: R² that a modality of pure noise costs the ensemble: mean and interval.
    """

    worlds: tuple[PlayedWorld, ...]
    models: tuple[MeanShare, ...]
    factors: tuple[FactorFound, ...]
    cost_of_noise: tuple[float, float, float]

    def model(self, name: str) -> MeanShare:
        """Return the mean of a model."""
        return next(each for each in self.models if each.model == name)


def read_findings(kind: type[Found], raw: Any, name: str) -> Found:
    """Return findings that were written as JSON.

    Args:
        kind: What they are.
        raw: Parsed JSON.
        name: Of the file, for the error.

    Raises:
        DataError: They are not what was written.
    """
    try:
        return TypeAdapter(kind).validate_python(json_ready(raw))
    except ValidationError as error:
        fault = error.errors()[0]
        where = ".".join(str(part) for part in (name, *fault["loc"]))
        raise DataError(
            f"{where}: {fault['msg']} (found: {fault['input']!r}). The file is broken or of "
            "another version: run the benchmark again, `kedro run --env truth --pipeline truth`."
        ) from None
