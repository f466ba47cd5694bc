from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from tiktok_virality.datasets.stage_table import StageTable, StoredCut
from tiktok_virality.pipelines.ingestion.card import DatasetSummary, concentration, gini, summarise
from tiktok_virality.pipelines.ingestion.card_page import render_card
from tiktok_virality.pipelines.ingestion.card_warnings import selection_warnings
from tiktok_virality.pipelines.ingestion.columns import MOMENT
from tiktok_virality.pipelines.ingestion.manifest import RejectedVideosSchema
from tiktok_virality.pipelines.ingestion.nodes import describe_dataset

NO_FINGERPRINTS = StageTable(cuts=[StoredCut(fingerprint="", entries={})], digests={}, absent={})
NO_REJECTS = pd.DataFrame(columns=list(RejectedVideosSchema.columns), dtype="str")


def make_manifest(count: int, **columns: object) -> pd.DataFrame:
    """Return a corpus in which nothing stands out, with some columns replaced."""
    rng = np.random.default_rng(0)
    posted = pd.Timestamp("2023-01-01", tz="UTC") + pd.to_timedelta(np.arange(count), unit="D")
    table = pd.DataFrame(
        {
            "video_id": [f"v{number}" for number in range(count)],
            "url": None,
            "creator_id": [f"c{number % 50}" for number in range(count)],
            "posted_at": posted.astype(MOMENT),
            "captured_at": (posted + pd.Timedelta(days=60)).astype(MOMENT),
            "views": np.exp(rng.normal(7, 2, count)).astype("int64"),
            "duration_seconds": rng.uniform(5, 60, count),
            "width": 576,
            "height": 1024,
            "fps": 30.0,
            "video_codec": "h264",
            "has_audio": True,
            "content_hash": [f"{number:064}" for number in range(count)],
            "duplicate_group": [f"g{number}" for number in range(count)],
            "caption": "words",
            "hashtags": "fyp dance",
            "size_bytes": 1_000_000,
            "topic": [("Dance", "Music")[number % 2] for number in range(count)],
            "likes": 1,
            "comments": 1,
            "shares": 1,
        }
    )
    return table.assign(**columns)


def posts_of(manifest: pd.DataFrame) -> pd.DataFrame:
    return manifest[["video_id"]].assign(posted_at_from="source", posted_at_fault=None)


def card_of(manifest: pd.DataFrame, rejects=NO_REJECTS, transcripts=None) -> DatasetSummary:
    return summarise(posts_of(manifest), manifest, rejects, transcripts, None)


def warnings_of(count: int = 300, rejects=NO_REJECTS, **columns: object) -> str:
    return "\n".join(selection_warnings(card_of(make_manifest(count, **columns), rejects)))


def test_a_corpus_in_which_nothing_stands_out_has_no_warning():
    assert warnings_of() == ""


@pytest.mark.parametrize(
    ("columns", "warning"),
    [
        ({"views": 2_300_000}, "at least 2.3M views: a corpus of hits"),
        ({"views": 100}, "little difference to explain"),
        ({"views": [10**10, *range(1, 300)]}, "has 100% of all views"),
        ({"creator_id": None}, "No creator is known"),
        ({"creator_id": ["a"] * 200 + [None] * 100}, "creators of 33% of the clips are not known"),
        ({"creator_id": ["a", "b"] * 150}, "only 2 creators"),
        ({"creator_id": ["a"] * 90 + [f"c{i}" for i in range(210)]}, "One creator has 30%"),
        ({"topic": ["Dance"] * 250 + ["Music"] * 50}, "250 clips of Dance, 50 of Music"),
        ({"captured_at": pd.NaT}, "counted is not known of any clip"),
        ({"posted_at": pd.NaT}, "posted is not known of any clip"),
        ({"has_audio": [False] * 60 + [True] * 240}, "20% of the clips have no audio track"),
        ({"duplicate_group": ["g"] * 30 + [f"g{i}" for i in range(270)]}, "30 clips are copies"),
    ],
)
def test_what_a_corpus_cannot_say_is_said(columns, warning):
    times = {"posted_at", "captured_at"} & columns.keys()
    columns = {
        key: pd.Series(value, index=range(300), dtype=MOMENT) if key in times else value
        for key, value in columns.items()
    }
    assert warning in warnings_of(**columns)


def test_counts_taken_early_or_at_different_ages_are_warned_of():
    posted = make_manifest(300)["posted_at"]
    early = (posted + pd.Timedelta(days=2)).astype(MOMENT)
    assert "within 2.0 days of posting" in warnings_of(captured_at=early)
    ages = pd.to_timedelta(np.geomspace(1, 900, 300), unit="D")
    assert "of very different age" in warnings_of(captured_at=(posted + ages).astype(MOMENT))


def test_a_small_corpus_and_many_rejects_are_warned_of():
    rejects = pd.DataFrame(
        {
            "video_id": [f"x{i}" for i in range(20)],
            "stage": "probe",
            "reason": "unreadable",
            "detail": "cut",
        }
    )
    said = warnings_of(40, rejects)
    assert "only 40 clips" in said
    assert "33% of what was there could not be used, most often for “unreadable”" in said


def test_concentration_is_that_of_the_textbooks():
    even = concentration(make_manifest(100, creator_id=[f"c{i % 20}" for i in range(100)], views=7))
    assert even.effective == pytest.approx(20)
    assert (even.gini_clips, even.gini_views) == pytest.approx((0, 0), abs=1e-12)
    assert even.top_ten_clips == pytest.approx(0.5)
    one = concentration(make_manifest(10, creator_id="a"))
    assert (one.creators, one.effective, one.gini_clips) == (1, pytest.approx(1), 0)
    assert gini(np.array([0.0, 0.0, 0.0, 1.0])) == pytest.approx(0.75)


def test_topics_come_from_the_source_or_else_from_hashtags():
    told = card_of(make_manifest(10))
    assert {group.name: group.clips for group in told.topics.groups} == {"Dance": 5, "Music": 5}
    tags = ["fyp dance", "dance music", "fyp", ""] * 2
    by_tag = card_of(make_manifest(8, topic=None, hashtags=tags)).topics
    assert by_tag.told_by == "hashtags"
    assert {group.name: group.clips for group in by_tag.groups} == {"dance": 4, "music": 2}
    assert by_tag.untold == 4


def test_languages_are_told_once_the_clips_were_listened_to():
    manifest = make_manifest(4)
    heard = pd.DataFrame(
        {
            "video_id": ["v0", "v1", "v2", "gone"],
            "text": ["hi", "hola", "", "x"],
            "language": ["en", "es", "en", "en"],
        }
    )
    card = card_of(manifest, transcripts=heard)
    assert {each.name: each.clips for each in card.languages} == {"en": 1, "es": 1, "no speech": 1}
    assert card.transcribed == 3
    assert card_of(manifest).languages is None


@pytest.mark.parametrize("count", [1, 2])
def test_the_smallest_corpus_of_which_nothing_is_known_has_a_card(count):
    nothing = {
        "views": 0,
        "creator_id": None,
        "caption": None,
        "hashtags": "",
        "topic": None,
        "likes": pd.NA,
        "comments": pd.NA,
        "shares": pd.NA,
        "has_audio": False,
        **{
            name: pd.Series([pd.NaT] * count, dtype=MOMENT) for name in ("posted_at", "captured_at")
        },
    }
    manifest = make_manifest(count, **nothing)
    summary, page = describe_dataset(
        posts_of(manifest), manifest, NO_REJECTS, NO_FINGERPRINTS, None, None
    )
    assert DatasetSummary.model_validate(json.loads(json.dumps(summary))).clips == count
    assert f"{count} usable clip" in page
    assert "The source names no creators." in page
    assert "Neither posting nor capture of any clip is dated." in page


def test_the_card_needs_nothing_but_itself_and_names_no_creator():
    rejects = pd.DataFrame(
        {"video_id": ["x"], "stage": ["posts"], "reason": ["bad count"], "detail": ["<b>'lots'"]}
    )
    manifest = make_manifest(60, creator_id=[f"someone{i % 9}" for i in range(60)])
    page = render_card(card_of(manifest, rejects))
    assert "someone" not in page
    assert "&lt;b&gt;" in page
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"<link|src=|url\(|@import", markup)
    for name in ("views", "topics", "creators", "dates", "ages", "durations"):
        assert json.loads(page.split(f'id="plot-{name}">')[1].split("</script>")[0])["data"]


def test_the_card_says_when_copies_were_not_sought_by_their_sound():
    card = card_of(make_manifest(300))
    assert "Chromaprint" not in "\n".join(selection_warnings(card))
    deaf = card.model_copy(update={"sound_compared": False})
    assert "Chromaprint" in "\n".join(selection_warnings(deaf))
