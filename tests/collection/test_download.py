"""Downloads by yt-dlp from the local site: what is kept, and what becomes of every fault."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import islice
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr

from tests.collection import site as faults
from tests.collection.conftest import Corpus
from tiktok_virality.collection.creators import creator_hash
from tiktok_virality.collection.errors import CollectionError
from tiktok_virality.collection.ledger import CollectedVideo, CollectionEvent, FailedVideo
from tiktok_virality.media.probe import probe_video
from tiktok_virality.pipelines.collection.nodes import fetch_videos

SPORTS_ONLY: dict[str, Any] = {"topics": {"Sports": ("football",)}}
ALL_SPORTS: dict[str, Any] = {**SPORTS_ONLY, "videos_per_topic": 4}


def fetch(corpus: Corpus, forgotten: frozenset[str] = frozenset(), **changes: Any) -> list:
    """Run the node and store what it yields, as the catalog does."""
    return list(fetching(corpus, forgotten, **changes))


def fetching(corpus: Corpus, forgotten: frozenset[str] = frozenset(), **changes: Any):
    parameters = corpus.parameters(**changes)
    for event in fetch_videos(corpus.state, corpus.access, parameters, 1, forgotten):
        corpus.folder.save(event)
        yield event


def videos(events: list[CollectionEvent]) -> list[str]:
    return [event.video_id for event in events if isinstance(event, CollectedVideo)]


def failures(events: list[CollectionEvent]) -> dict[str, FailedVideo]:
    return {event.video_id: event for event in events if isinstance(event, FailedVideo)}


def rows(corpus: Corpus, name: str) -> pd.DataFrame:
    return pd.read_json(corpus.root / "collection" / name, lines=True, dtype={"video_id": str})


def record(corpus: Corpus, video_id: str) -> dict[str, Any]:
    return json.loads((corpus.videos / f"{video_id}.info.json").read_text())


def first(corpus: Corpus) -> str:
    return corpus.site.of("football")[0].video_id


def test_every_topic_gets_its_number_of_whole_videos_with_records(corpus):
    corpus.find("football", "guitar")
    got = videos(fetch(corpus))
    assert corpus.state.held_by_topic == {"Sports": 3, "Music": 3}
    assert corpus.files() == sorted(
        f"{each}{end}" for each in got for end in (".info.json", ".mp4")
    )
    for video_id in got:
        assert probe_video(corpus.videos / f"{video_id}.mp4").frame_count == 12
    assert corpus.site.whole == Counter(got)


def test_a_record_holds_what_the_page_says_and_how_it_was_found(corpus):
    corpus.find("football")
    [video_id, *_] = videos(fetch(corpus, **SPORTS_ONLY))
    post = corpus.site.posts[video_id]
    found = record(corpus, video_id)
    assert (found["id"], found["view_count"], found["tags"]) == (video_id, post.views, ["football"])
    assert found["timestamp"] == faults.POSTED + 3600 * post.number
    assert (found["topic"], found["hashtag"]) == ("Sports", "football")
    snapshot = rows(corpus, "count_snapshots.jsonl").set_index("video_id").loc[video_id]
    assert snapshot["views"] == post.views
    assert pd.Timestamp(found["capture_time"]) == pd.Timestamp(snapshot["captured_at"])
    assert {"likes", "comments", "shares"} <= set(snapshot.index)


def test_no_name_of_a_creator_is_stored(corpus):
    corpus.find("football")
    got = videos(fetch(corpus, **SPORTS_ONLY))
    stored = [path.read_text() for path in corpus.root.rglob("*.json*")]
    assert len(stored) == len(got) + 2
    assert not any(re.search(r"maker\.\d\d", text, re.IGNORECASE) for text in stored)
    creator = corpus.site.posts[got[0]].creator
    assert record(corpus, got[0])["uploader"] == creator_hash(creator, corpus.access.creator_key)


def test_names_are_stored_when_asked_for(corpus):
    corpus.find("football")
    got = videos(fetch(corpus, keep_creator_names=True, **SPORTS_ONLY))
    assert record(corpus, got[0])["uploader"] == corpus.site.posts[got[0]].creator


def test_a_second_run_asks_for_nothing(corpus):
    corpus.find("football", "guitar")
    fetch(corpus)
    asked = len(corpus.site.asked)
    assert fetch(corpus) == []
    assert len(corpus.site.asked) == asked


def test_a_run_that_is_stopped_goes_on_in_the_same_order(corpus, tmp_path):
    corpus.find("football", "guitar")
    undisturbed = Corpus(corpus.site, tmp_path / "undisturbed")
    undisturbed.find("football", "guitar")
    order = videos(fetch(undisturbed))
    events = fetching(corpus)
    before = [next(events).video_id for _ in range(2)]
    events.close()
    assert before + videos(fetch(corpus)) == order


def test_what_a_killed_run_had_downloaded_is_not_downloaded_again(corpus):
    """Killed after the last byte, before the file had its name."""
    corpus.find("football")
    body = corpus.site.posts[first(corpus)].body
    unfinished = corpus.videos / ".unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / f"{first(corpus)}.play.mp4").write_bytes(body)
    fetch(corpus, **ALL_SPORTS)
    assert (corpus.videos / f"{first(corpus)}.mp4").read_bytes() == body
    assert corpus.site.whole[first(corpus)] == 0
    assert not unfinished.exists()


def test_half_a_file_of_a_killed_run_is_completed_from_where_it_ends(corpus):
    corpus.find("football")
    body = corpus.site.posts[first(corpus)].body
    unfinished = corpus.videos / ".unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / f"{first(corpus)}.play.mp4.part").write_bytes(body[:3000])
    fetch(corpus, **ALL_SPORTS)
    assert (corpus.videos / f"{first(corpus)}.mp4").read_bytes() == body
    assert corpus.site.resumed == {first(corpus): 3000}


def test_a_removed_video_is_not_downloaded_again(corpus):
    corpus.find("football")
    got = videos(fetch(corpus, **SPORTS_ONLY))
    for path in corpus.videos.glob(f"{got[0]}.*"):
        path.unlink()
    again = videos(fetch(corpus, **SPORTS_ONLY))
    assert len(again) == 1
    assert again[0] not in got


def test_a_forgotten_video_and_a_forgotten_creator_are_not_taken(corpus):
    corpus.find("football")
    one, two, *_ = corpus.site.of("football")
    creator = creator_hash(two.creator, corpus.access.creator_key)
    events = fetch(corpus, frozenset({one.video_id, creator}), **ALL_SPORTS)
    assert {failure.reason for failure in failures(events).values()} == {"forgotten"}
    assert set(failures(events)) == {one.video_id, two.video_id}
    assert corpus.site.pages_asked(one.video_id) == []


@pytest.mark.parametrize(
    ("fault", "reason", "is_final"),
    [
        (faults.deleted, "deleted", True),
        (faults.private, "private", True),
        (faults.forbidden, "forbidden", False),
        (faults.redirect_loop, "redirect loop", False),
        (faults.changed_layout, "changed layout", False),
        (faults.out_of_order, "unreachable", False),
    ],
)
def test_a_video_whose_page_fails_is_listed_and_another_takes_its_place(
    corpus, fault, reason, is_final
):
    corpus.find("football")
    corpus.site.fail(f"/video/{first(corpus)}", fault)
    events = fetch(corpus, videos_per_topic=3, **SPORTS_ONLY)
    events += fetch(corpus, videos_per_topic=4, **SPORTS_ONLY)
    assert len(videos(events)) == 3
    table = rows(corpus, "failed_videos.jsonl").set_index("video_id")
    assert set(table["reason"]) == {reason}
    assert set(table["is_final"]) == {is_final}
    assert len(table["detail"].iloc[0]) > 10
    asked = len(corpus.site.pages_asked(f"/video/{first(corpus)}"))
    fetch(corpus, videos_per_topic=4, **SPORTS_ONLY)
    asked_again = len(corpus.site.pages_asked(f"/video/{first(corpus)}")) - asked
    assert (asked_again == 0) == is_final


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (faults.slow_drip, "too slow"),
        (faults.half_file, "unplayable"),
        (faults.truncated, "cut short"),
        (faults.forbidden, "forbidden"),
    ],
)
def test_a_file_that_does_not_come_whole_never_gets_its_name(corpus, fault, reason):
    corpus.find("football")
    corpus.site.fail(f"/media/{first(corpus)}", fault)
    events = fetch(corpus, limits={"max_download_seconds": 3}, **ALL_SPORTS)
    assert len(videos(events)) == 3
    assert failures(events)[first(corpus)].reason == reason
    assert not any(name.startswith(first(corpus)) for name in corpus.files())


def test_a_download_that_breaks_off_goes_on_where_it_broke(corpus):
    corpus.find("football")
    corpus.site.fail(f"/media/{first(corpus)}", faults.truncated, times=1)
    assert len(videos(fetch(corpus, **ALL_SPORTS))) == 4
    body = corpus.site.posts[first(corpus)].body
    assert (corpus.videos / f"{first(corpus)}.mp4").read_bytes() == body
    assert 0 < corpus.site.resumed[first(corpus)] <= len(body) // 2


@pytest.mark.parametrize(
    ("limit", "reason"),
    [({"max_megabytes": 0.001}, "too large"), ({"max_seconds": 0.5}, "too long")],
)
def test_what_is_beyond_the_limits_is_not_taken(corpus, limit, reason):
    corpus.find("football")
    events = fetch(corpus, limits=limit, **SPORTS_ONLY)
    assert {failure.reason for failure in failures(events).values()} == {reason}
    assert len(failures(events)) == 4
    assert corpus.files() == []


def test_too_many_requests_are_repeated_after_the_time_that_the_site_asks_for(corpus):
    corpus.find("football")
    corpus.site.fail("/video/", faults.too_many_requests("0"), times=2)
    events = fetch(corpus, **SPORTS_ONLY)
    assert len(videos(events)) == 3
    assert failures(events) == {}


def test_a_small_computation_that_the_site_wants_is_done(corpus):
    corpus.find("football")
    corpus.site.fail("/video/", faults.wants_computation, times=1)
    assert len(videos(fetch(corpus, **SPORTS_ONLY))) == 3


def test_the_older_layout_is_read_too(corpus):
    corpus.find("football")
    corpus.site.fail("/video/", faults.old_layout)
    got = videos(fetch(corpus, **SPORTS_ONLY))
    post = corpus.site.posts[got[0]]
    assert record(corpus, got[0])["view_count"] == post.views
    expected = creator_hash(post.creator, corpus.access.creator_key)
    assert record(corpus, got[0])["uploader"] == expected


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (faults.captcha, r"shows a captcha instead of a video.*seconds_between_requests"),
        (faults.forbidden, r"403 Forbidden for 3 videos in a row.*refuses this address"),
        (faults.too_many_requests("0"), r"asked too often, even after 3 pauses"),
        (faults.too_many_requests("7200"), r"asks to wait 7200 s.*longest_wait_seconds=900"),
        (faults.changed_layout, r"pages have changed: for 3 videos.*itemStruct has no stats"),
        (faults.out_of_order, r"3 videos in a row failed.*'unreachable': status 503"),
    ],
)
def test_a_site_that_refuses_stops_the_run_and_what_is_finished_stays(corpus, fault, message):
    corpus.find("football", "guitar")
    kept = [event.video_id for event in islice(fetching(corpus), 2)]
    corpus.site.fail("/video/", fault)
    with pytest.raises(CollectionError, match=message) as caught:
        fetch(corpus, stop_after_failures=3)
    assert "What is finished is kept; run the same command again" in str(caught.value)
    assert {name.partition(".")[0] for name in corpus.files()} == set(kept)
    corpus.site.rules.clear()
    fetch(corpus)
    assert corpus.state.held_by_topic == {"Sports": 3, "Music": 3}


def test_deleted_videos_in_a_row_are_no_reason_to_stop(corpus):
    corpus.find("football", "guitar")
    corpus.site.fail("/video/", faults.deleted)
    assert len(failures(fetch(corpus, stop_after_failures=3))) == 8


def test_a_site_that_is_gone_stops_the_run(corpus):
    corpus.find("football")
    with pytest.raises(CollectionError, match="2 videos in a row failed, the last one as 'unreach"):
        fetch(corpus, base_url="http://127.0.0.1:9", stop_after_failures=2, **SPORTS_ONLY)


def test_views_are_counted_again_when_the_last_count_is_old(corpus):
    corpus.find("football")
    got = videos(fetch(corpus, **SPORTS_ONLY))
    corpus.site.views_more = 500
    assert fetch(corpus, **SPORTS_ONLY) == []
    assert len(fetch(corpus, snapshot_after_days=0, **SPORTS_ONLY)) == 3
    table = rows(corpus, "count_snapshots.jsonl")
    counts = table[table["video_id"] == got[0]]["views"].tolist()
    views = corpus.site.posts[got[0]].views
    assert counts == [views, views + 500]
    assert corpus.site.whole[got[0]] == 1


def test_a_video_that_is_gone_by_then_is_noted_and_stays(corpus):
    corpus.find("football")
    fetch(corpus, **SPORTS_ONLY)
    corpus.site.fail("/video/", faults.deleted)
    gone = failures(fetch(corpus, snapshot_after_days=0, **SPORTS_ONLY))
    assert {(each.step, each.reason) for each in gone.values()} == {("snapshot", "deleted")}
    assert corpus.state.held_by_topic == {"Sports": 3}
    assert fetch(corpus, snapshot_after_days=0, **SPORTS_ONLY) == []


def test_a_dry_run_lists_and_asks_for_nothing(corpus, caplog):
    corpus.find("football", "guitar")
    with caplog.at_level("INFO"):
        assert fetch(corpus, dry_run=True) == []
    assert "Sports: 0 there, 3 would be downloaded" in caplog.text
    assert len(re.findall(r"/@_/video/\d+  \(#", caplog.text)) == 6
    assert corpus.site.asked == []


def test_topics_that_lack_videos_are_named(corpus, caplog):
    corpus.find("football")
    fetch(corpus, videos_per_topic=9)
    assert "Sports has 4 of 9 videos" in caplog.text
    assert "Music has 0 of 9 videos" in caplog.text


def test_cookies_reach_the_site_and_their_file_stays_as_it_is(corpus, tmp_path):
    corpus.find("football")
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc\n")
    before = cookies.read_text()
    access = corpus.access.model_copy(update={"cookies_file": cookies})
    list(fetch_videos(corpus.state, access, corpus.parameters(**SPORTS_ONLY), 1))
    assert "session=abc" in corpus.site.cookies
    assert cookies.read_text() == before


def test_requests_go_through_the_proxy_of_the_credentials(corpus):
    """The local site takes a proxy's requests too: they name the whole address."""
    corpus.find("football")
    access = corpus.access.model_copy(update={"proxy": SecretStr(corpus.site.address)})
    parameters = corpus.parameters(base_url="http://site.invalid", **SPORTS_ONLY)
    assert len(videos(list(fetch_videos(corpus.state, access, parameters, 1)))) == 3
    assert all(path.startswith("http://") for path in corpus.site.asked)
    assert len(corpus.site.pages_asked("http://site.invalid/@_/video/")) == 3


def test_cookies_in_another_format_are_refused_with_the_reason(corpus, tmp_path):
    from tiktok_virality.schema import ParameterError

    cookies = tmp_path / "cookies.txt"
    cookies.write_text('{"a": 1}')
    access = corpus.access.model_copy(update={"cookies_file": cookies})
    with pytest.raises(ParameterError, match="first line must be '# Netscape HTTP Cookie File'"):
        list(fetch_videos(corpus.state, access, corpus.parameters(), 1))


def test_two_collections_do_not_share_a_folder(corpus):
    corpus.find("football")
    events = fetching(corpus, **SPORTS_ONLY)
    next(events)
    with pytest.raises(CollectionError, match="Another collection is downloading into"):
        fetch(corpus, **SPORTS_ONLY)
    assert len(videos(list(events))) == 2
