"""The rule behind the views: who posts what, what it is worth, and what a model can know of it.

Natural log views are the sum of a base, a visual effect, a spoken effect, their interaction, a
creator effect and noise. The clips come from one stream of random numbers and the views from
others, so the same seed gives the same clips in every world.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
from scipy.stats import norm, qmc, rankdata

from tiktok_virality.demo.captions import compose_caption, compose_screen_text
from tiktok_virality.demo.clip_plan import FONTS, LANGUAGE_VOICES, VOICE_VARIANTS
from tiktok_virality.demo.config import WORLDS, DemoParameters, EffectSizes, World
from tiktok_virality.demo.factors import BACKING_MUSIC_SHARE, FACTORS, factor_table
from tiktok_virality.demo.scripts import THEMES, compose_script
from tiktok_virality.demo.senses import BOTH, PICTURE, SOUND

BASE_LOG_VIEWS: Final = float(np.log(60_000))
EFFECTS: Final = (
    "visual_effect",
    "spoken_effect",
    "interaction_effect",
    "creator_effect",
    "noise",
)

PLANTED: Final = ("creator", "sound", "script", "screen_text", "caption")
"""What is told of a clip beside its factors and their effects."""

MOTION_SPEED: Final = FACTORS["motion_speed"].limits
"""Picture heights per second."""
CUTS_PER_SECOND: Final = FACTORS["cuts_per_second"].limits
WORDS_PER_MINUTE: Final = FACTORS["words_per_minute"].limits
MOTION_SHARE: Final = 0.5
"""Of the variance of the visual effect; the rest is the cut rate's."""
THEME_SHARE: Final = 0.7
"""Of the variance of the spoken effect; the rest is the speed's."""
SILENCE_AROUND_SPEECH_SECONDS: Final = 0.15

FRAME_RATES: Final = (24, 25, 30)
GOP_FRAMES: Final = (12, 30, 60, 250)
HEVC_SHARE: Final = 0.4
TEXT_SIZE: Final = (0.035, 0.06)
"""Heights of letters on screen, in picture heights."""

FIRST_POST: Final = pd.Timestamp("2024-01-01", tz="UTC")
LAST_POST: Final = pd.Timestamp("2025-12-31", tz="UTC")
TIME_SHIFT_BITS: Final = 32
"""As in TikTok's ids, the upper half is the second of posting."""

FIRST_NAMES: Final = (
    *("sunny", "brave", "quiet", "lucky", "golden", "happy", "clever", "gentle"),
    *("rapid", "silver", "cosmic", "velvet", "wild", "tiny", "mellow", "bright"),
)
LAST_NAMES: Final = (
    *("otter", "maple", "comet", "river", "panda", "cactus", "falcon", "biscuit"),
    *("lemon", "harbor", "pixel", "meadow", "tiger", "violet", "pebble", "lantern"),
)
_NUISANCES: Final = (
    *("creator", "duration", "height", "frame_rate", "codec", "gop", "sound", "first_cut"),
    *("speech_start", "text_size", "text_place"),
)
"""What differs from clip to clip and never counts."""


def plan_clips(parameters: DemoParameters, seed: int) -> pd.DataFrame:
    """Return one row per clip: the columns of `ClipPlan`, what was planted, and the views.

    The factors fill their ranges evenly and their correlations are removed (a Latin hypercube), so
    that none of them goes with another, nor with creator, size, codec or duration.

    Args:
        parameters: Of the corpus.
        seed: Of everything.
    """
    unit = _unit_draws(parameters.clips, seed)
    accounts = _accounts(parameters.creators, seed)
    posts = _posts(parameters.clips, seed)
    drawn = _drawn_factors(unit)
    clips = pd.concat([posts, drawn, _files(unit, parameters), _sounds(unit, parameters)], axis=1)
    clips["cuts_per_second"] = _whole_cuts(clips["cuts_per_second"], clips["duration_seconds"])
    own = accounts.iloc[_choose(unit["creator"], parameters.creators)].reset_index(drop=True)
    clips = pd.concat([clips, own], axis=1)
    return plant_views(_worded(clips, seed), parameters.world, seed)


def plant_views(clips: pd.DataFrame, world: World, seed: int) -> pd.DataFrame:
    """Return the clips with the columns `EFFECTS`, ``log_views`` and ``views`` of a world.

    Every world has noise of its own, so that results of several worlds are several results.
    """
    sizes = WORLDS[world]
    visual = visual_score(clips)
    spoken = spoken_score(clips, seed)
    effects = {
        "visual_effect": sizes.visual * visual,
        "spoken_effect": sizes.spoken * spoken,
        "interaction_effect": sizes.interaction * visual * spoken,
        "creator_effect": sizes.creator * clips["creator_score"].to_numpy(),
        "noise": sizes.noise * stream(seed, f"noise {world}").standard_normal(len(clips)),
    }
    log_views = BASE_LOG_VIEWS + sum(effects.values())
    views = np.rint(np.exp(log_views)).astype(np.int64)
    return clips.assign(**effects, log_views=log_views, views=views)


def visual_score(clips: pd.DataFrame) -> np.ndarray:
    """Return what is seen as one number per clip: mean 0, variance about 1 over possible clips."""
    motion = _standardise_uniform(clips["motion_speed"], MOTION_SPEED)
    cuts = _standardise_uniform(clips["cuts_per_second"], CUTS_PER_SECOND)
    return np.sqrt(MOTION_SHARE) * motion + np.sqrt(1 - MOTION_SHARE) * cuts


def spoken_score(clips: pd.DataFrame, seed: int) -> np.ndarray:
    """Return what is heard as one number per clip: mean 0 and variance 1 where there is speech.

    A clip in which nobody speaks has 0.
    """
    theme = clips["theme"].map(theme_scores(seed)).to_numpy(float)
    speed = _standardise_uniform(clips["words_per_minute"], WORDS_PER_MINUTE)
    score = np.sqrt(THEME_SHARE) * theme + np.sqrt(1 - THEME_SHARE) * speed
    return np.where(clips["sound"] == "speech", score, 0.0)


def theme_scores(seed: int) -> dict[str, float]:
    """Return what each theme is worth: evenly spread, mean 0 and variance 1, dealt by the seed."""
    ranks = np.linspace(-1, 1, len(THEMES))
    scores = stream(seed, "themes").permutation(ranks / ranks.std())
    return dict(zip(THEMES, scores.tolist(), strict=True))


def reachable_r2(sizes: EffectSizes, speaking_share: float) -> dict[str, float]:
    """Return the R² on log views of a perfect model of each modality, for creators it never saw.

    Its errors are what its modality does not show. The effects are independent, so variances add.

    Args:
        sizes: Of the world.
        speaking_share: Share of the clips in which somebody speaks.
    """
    visual = sizes.visual**2
    spoken = speaking_share * sizes.spoken**2
    interaction = speaking_share * sizes.interaction**2
    total = visual + spoken + interaction + sizes.creator**2 + sizes.noise**2
    return {
        PICTURE: visual / total,
        SOUND: spoken / total,
        BOTH: (visual + spoken + interaction) / total,
    }


def perfect_predictions(clips: pd.DataFrame) -> pd.DataFrame:
    """Return the log views that a perfect model of each modality would predict, by clip."""
    visual = BASE_LOG_VIEWS + clips["visual_effect"]
    audio = BASE_LOG_VIEWS + clips["spoken_effect"]
    both = visual + clips["spoken_effect"] + clips["interaction_effect"]
    return pd.DataFrame({PICTURE: visual, SOUND: audio, BOTH: both})


def describe_corpus(clips: pd.DataFrame, parameters: DemoParameters, seed: int) -> dict[str, Any]:
    """Return everything that is known about a planted corpus, JSON-able."""
    sizes = WORLDS[parameters.world]
    return {
        "synthetic": True,
        "about": (
            "Made up. log_views (natural) = base_log_views + visual_effect + spoken_effect + "
            "interaction_effect + creator_effect + noise. reachable_r2 is the R² on log views of "
            "a perfect model of each modality, for creators that it never saw: over all clips "
            "that the rule can make, and over the clips of this corpus."
        ),
        "seed": seed,
        "world": parameters.world,
        "base_log_views": BASE_LOG_VIEWS,
        "effect_sizes": sizes.model_dump(),
        "theme_scores": theme_scores(seed),
        "reachable_r2": reachable_r2(sizes, parameters.speaking_share),
        "reachable_r2_in_corpus": _r2_in(clips),
        "clips": _described_clips(clips),
    }


def format_count(views: int) -> str:
    """Write a count as the app shows it: ``"21.1M"``, ``"541.2K"``, ``"3384"``."""
    for unit, suffix in ((1_000_000_000, "B"), (1_000_000, "M"), (10_000, "K")):
        if views >= unit:
            divisor = 1_000 if suffix == "K" else unit
            return f"{views / divisor:.1f}{suffix}"
    return str(views)


def _described_clips(clips: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Return what was planted in each clip, by id."""
    rows = clips[[*PLANTED, *EFFECTS, "log_views", "views"]].to_dict("records")
    factors = factor_table(clips).astype(object)
    known = factors.where(factors.notna(), None).to_dict("records")
    predictable = perfect_predictions(clips).to_dict("records")
    return {
        video_id: {str(name): value for name, value in (known | row).items()}
        | {"predictable_log_views": best}
        for video_id, known, row, best in zip(
            clips["video_id"], known, rows, predictable, strict=True
        )
    }


def _r2_in(clips: pd.DataFrame) -> dict[str, float | None]:
    """Return the R² of the perfect predictions on these very clips; ``None`` without spread."""
    truth = clips["log_views"]
    spread = float(((truth - truth.mean()) ** 2).sum())
    errors = perfect_predictions(clips).rsub(truth, axis=0).pow(2).sum()
    return {str(name): 1 - float(e) / spread if spread else None for name, e in errors.items()}


def stream(seed: int, purpose: str) -> np.random.Generator:
    """Return random numbers of a purpose's own: changing one use leaves the others alone."""
    return np.random.default_rng([seed, *purpose.encode()])


def _unit_draws(count: int, seed: int) -> pd.DataFrame:
    """Draw every factor evenly from [0, 1), uncorrelated where there are clips enough, [N, F]."""
    names = [*FACTORS, *_NUISANCES]
    rng = stream(seed, "factors")
    draws = qmc.LatinHypercube(d=len(names), rng=rng).random(count)
    if count > 2 * len(names):
        draws = _uncorrelated(draws, rng)
    return pd.DataFrame(draws, columns=names)


def _uncorrelated(draws: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Reorder each column until it correlates with no other (Iman and Conover, 1982)."""
    scores = norm.ppf(draws)
    root = np.linalg.cholesky(np.corrcoef(scores, rowvar=False))
    apart = np.linalg.solve(root, scores.T).T
    within = rng.uniform(size=draws.shape)
    return np.asarray((rankdata(apart, axis=0) - 1 + within) / len(draws))


def _choose(unit: pd.Series[float], options: int) -> np.ndarray:
    """Turn uniform draws into indices of equally likely options."""
    return np.minimum((unit.to_numpy() * options).astype(int), options - 1)


def _between(unit: pd.Series[float], limits: tuple[float, float]) -> np.ndarray:
    low, high = limits
    return low + (high - low) * unit.to_numpy()


def _standardise_uniform(values: pd.Series[float], limits: tuple[float, float]) -> np.ndarray:
    low, high = limits
    deviation = (high - low) / np.sqrt(12)
    return (values.to_numpy(float) - (low + high) / 2) / deviation


def _accounts(count: int, seed: int) -> pd.DataFrame:
    """Invent the accounts: each has a room and a voice of its own, and followers or none."""
    rng = stream(seed, "creators")
    names = [f"{first}.{last}" for first in FIRST_NAMES for last in LAST_NAMES]
    looks = {
        "look": rng.integers(2**31, size=count),
        "font": rng.choice(FONTS, count),
        "speaker": rng.choice(VOICE_VARIANTS, count),
    }
    scores = {"creator_score": rng.standard_normal(count)}
    return pd.DataFrame({"creator": rng.permutation(names)[:count], **looks, **scores})


def _posts(count: int, seed: int) -> pd.DataFrame:
    rng = stream(seed, "posts")
    seconds = rng.integers(int(FIRST_POST.timestamp()), int(LAST_POST.timestamp()), count)
    ids = (seconds << TIME_SHIFT_BITS) | rng.integers(0, 1 << TIME_SHIFT_BITS, count)
    return pd.DataFrame(
        {
            "video_id": [str(video_id) for video_id in ids],
            "posted_at": pd.to_datetime(seconds, unit="s", utc=True),
            "seed": rng.integers(0, 2**31, count),
        }
    )


def _drawn_factors(unit: pd.DataFrame) -> pd.DataFrame:
    """Return every factor but the music, which only some sounds can have."""
    own = [factor for name, factor in FACTORS.items() if name != "music"]
    return pd.DataFrame({each.name: each.values(unit[each.name].to_numpy()) for each in own})


def _files(unit: pd.DataFrame, parameters: DemoParameters) -> pd.DataFrame:
    """Return how clips are cut and encoded, which says nothing of their views."""
    heights = np.array(parameters.heights)[_choose(unit["height"], len(parameters.heights))]
    limits = (parameters.min_seconds, parameters.max_seconds)
    return pd.DataFrame(
        {
            "width": heights * 9 // 16,
            "height": heights,
            "duration_seconds": _between(unit["duration"], limits).round(2),
            "fps": np.array(FRAME_RATES)[_choose(unit["frame_rate"], len(FRAME_RATES))],
            "codec": np.where(unit["codec"] < HEVC_SHARE, "hevc", "h264"),
            "gop_frames": np.array(GOP_FRAMES)[_choose(unit["gop"], len(GOP_FRAMES))],
            "first_cut_share": _between(unit["first_cut"], (0.1, 0.9)),
            "text_size": _between(unit["text_size"], TEXT_SIZE),
            "text_place": unit["text_place"],
        }
    )


def _whole_cuts(rates: pd.Series[float], durations: pd.Series[float]) -> np.ndarray:
    """Return the nearest rates that give whole numbers of cuts, at least one.

    A rate that shows in the clip only up to a cut is not fully there to be seen: what is called
    reachable would not be.
    """
    return np.asarray(np.maximum(np.rint(rates * durations), 1) / durations)


def _sounds(unit: pd.DataFrame, parameters: DemoParameters) -> pd.DataFrame:
    silent = unit["sound"] < parameters.silent_share
    music = unit["sound"] >= 1 - parameters.music_share
    return pd.DataFrame(
        {
            "sound": np.select([silent, music], ["none", "music"], "speech"),
            "speech_start_share": unit["speech_start"],
            "backing_music": unit["music"] >= 1 - BACKING_MUSIC_SHARE,
        }
    )


def _worded(clips: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the clips with all that is said and written, in whole words per minute and pitches."""
    speaks = clips["sound"] == "speech"
    voices = clips["language"].map(LANGUAGE_VOICES) + clips["speaker"]
    clips = clips.assign(
        theme=clips["theme"].where(speaks, "none"),
        words_per_minute=clips["words_per_minute"].round().astype(int),
        pitch=clips["pitch"].round().astype(int),
        voice=voices,
    )
    written = stream(seed, "captions")
    shown = stream(seed, "screen")
    said = stream(seed, "scripts")
    rows = list(clips.itertuples(index=False))
    return clips.assign(
        caption=[_caption(row, written) for row in rows],
        screen_text=[_screen_text(row, shown) for row in rows],
        script=[_script(row, said) if row.sound == "speech" else "" for row in rows],
    )


def _caption(row: Any, rng: np.random.Generator) -> str:
    return compose_caption(
        row.caption_theme,
        row.caption_mood,
        remarks=row.caption_remarks,
        hashtags=row.hashtags,
        rng=rng,
    )


def _screen_text(row: Any, rng: np.random.Generator) -> str:
    return compose_screen_text(row.screen_theme, row.screen_lines, rng)


def _script(row: Any, rng: np.random.Generator) -> str:
    return compose_script(
        row.theme,
        language=row.language,
        words_per_minute=row.words_per_minute,
        seconds=row.duration_seconds - 2 * SILENCE_AROUND_SPEECH_SECONDS - row.pause_seconds,
        rng=rng,
    )
