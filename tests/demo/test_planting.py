"""The planted rule: what the ground truth says is what an oracle finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tiktok_virality.demo.clip_plan import clip_plans
from tiktok_virality.demo.config import WORLDS, DemoParameters
from tiktok_virality.demo.factors import FACTORS, describe_factors, factor_table
from tiktok_virality.demo.planting import (
    BASE_LOG_VIEWS,
    EFFECTS,
    SILENCE_AROUND_SPEECH_SECONDS,
    WORDS_PER_MINUTE,
    describe_corpus,
    format_count,
    perfect_predictions,
    plan_clips,
    plant_views,
)
from tiktok_virality.demo.scripts import SENTENCES, THEMES, longest_seconds

MANY = DemoParameters(clips=4096, creators=256)


@pytest.fixture(scope="module")
def clips() -> pd.DataFrame:
    return plan_clips(MANY, seed=1)


def test_the_effects_add_up_to_the_log_views(clips):
    np.testing.assert_allclose(
        BASE_LOG_VIEWS + clips[list(EFFECTS)].sum(axis=1), clips["log_views"]
    )
    np.testing.assert_allclose(np.log1p(clips["views"]), clips["log_views"], atol=0.01)


@pytest.mark.parametrize("world", list(WORLDS))
def test_an_oracle_reaches_the_r2_that_the_ground_truth_states(clips, world):
    planted = plant_views(clips, world, seed=1)
    stated = describe_corpus(planted, MANY.model_copy(update={"world": world}), seed=1)
    truth = planted["log_views"]
    for modality, predicted in perfect_predictions(planted).items():
        reached = 1 - ((truth - predicted) ** 2).mean() / truth.var()
        assert reached == pytest.approx(stated["reachable_r2"][modality], abs=0.06)


def test_causes_do_not_follow_how_a_clip_is_encoded_or_who_posts_it(clips):
    causes = clips[["visual_effect", "spoken_effect", "interaction_effect", "noise"]]
    others = clips[["height", "fps", "gop_frames", "duration_seconds", "creator_score"]]
    correlations = pd.concat([causes, others], axis=1).corr().loc[list(causes), list(others)]
    assert correlations.abs().max(axis=None) < 0.08


def test_every_creator_has_a_look_of_his_own_that_says_nothing_of_his_views(clips):
    own = clips.groupby("creator")[["look", "font", "speaker", "creator_score"]]
    assert (own.first() == own.last()).all(axis=None)
    creators = own.first()
    assert creators["look"].is_unique
    assert abs(creators["look"].corr(creators["creator_score"])) < 0.2
    for name in ("font", "speaker"):
        means = creators.groupby(name)["creator_score"].mean()
        assert means.abs().max() < 0.5, name


def test_the_seed_decides_the_corpus():
    small = DemoParameters(clips=8, creators=3)
    pd.testing.assert_frame_equal(plan_clips(small, seed=5), plan_clips(small, seed=5))
    assert not plan_clips(small, seed=5)["views"].equals(plan_clips(small, seed=6)["views"])


def test_every_sentence_fits_into_the_shortest_clip_at_the_slowest_speed():
    longest_pause = FACTORS["pause_seconds"].high
    room = MANY.min_seconds - 2 * SILENCE_AROUND_SPEECH_SECONDS - longest_pause
    for language in SENTENCES.values():
        assert set(language) == set(THEMES)
        for sentence in (each for sentences in language.values() for each in sentences):
            assert longest_seconds(sentence, int(WORDS_PER_MINUTE[0])) < room, sentence


def test_no_factor_goes_with_another_over_all_clips_or_within_creators():
    clips = plan_clips(
        DemoParameters(clips=660, creators=110, min_seconds=6.0, max_seconds=9.0), seed=1
    )
    table = factor_table(clips)
    levels = pd.concat([columns_of(table[name]) for name in FACTORS], axis=1)
    creators = clips["creator"].to_numpy()
    for known in (levels, levels - levels.groupby(creators).transform("mean")):
        correlations = known.corr(min_periods=100).abs()
        factors = [name.split("=")[0] for name in correlations]
        apart = np.not_equal.outer(factors, factors)
        numbers = np.array(["=" not in name for name in correlations])
        assert correlations.where(apart).loc[numbers, numbers].max(axis=None) < 0.15
        assert correlations.where(apart).max(axis=None) < 0.2  # one of some 2,000 pairs


def columns_of(values: pd.Series) -> pd.DataFrame:
    """Return a column of a number, and one per category; NaN where there is nothing."""
    options = FACTORS[str(values.name)].options
    if not options:
        return values.to_frame()
    there = values.isin(options)
    return pd.DataFrame(
        {f"{values.name}={each}": (values == each).where(there).astype(float) for each in options}
    )


def test_every_factor_spans_its_range_and_is_said_by_what_sense_it_is_known(clips):
    table = factor_table(clips)
    known = describe_factors().set_index("factor")
    assert list(table) == list(known.index)
    assert set(known["sense"]) == {"picture", "sound", "words"}
    assert (known["title"].str.len() > 4).all()
    for name, factor in FACTORS.items():
        values = table[name].dropna()
        if factor.options:
            assert set(values) - {"none"} == set(factor.options) - {"none"}
        else:
            span = np.ptp(values) / (factor.high - factor.low)
            assert span > 0.95, name


def test_words_on_screen_and_captions_are_of_their_themes(clips):
    lines = clips["screen_text"].str.count("\n") + (clips["screen_text"] != "")
    assert (lines == clips["screen_lines"]).all()
    assert (clips["caption"].str.count("#") == clips["hashtags"] + 2).all()
    assert clips.loc[clips["caption_mood"] == "question", "caption"].str.contains(r"\?").all()
    words = clips.groupby("caption_theme")["caption"].agg(" ".join)
    assert "moon" in words["space"]
    assert "moon" not in words["kitchen"]


def test_every_clip_that_speaks_has_words_and_no_other(clips):
    assert ((clips["script"] != "") == (clips["sound"] == "speech")).all()
    assert len(clip_plans(clips)) == len(clips)


@pytest.mark.parametrize(
    ("views", "text"), [(3384, "3384"), (541_200, "541.2K"), (21_100_000, "21.1M"), (12, "12")]
)
def test_counts_are_written_as_the_app_shows_them(views, text):
    assert format_count(views) == text
