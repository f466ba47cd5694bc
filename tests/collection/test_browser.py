"""Finding links with a real Chromium on the local site."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from typing import Any

import psutil
import pytest

from tests.collection import site as faults
from tests.collection.conftest import Corpus
from tests.collection.site import serve
from tiktok_virality.collection.errors import CollectionError
from tiktok_virality.pipelines.collection.nodes import find_videos

SPORTS_ONLY: dict[str, Any] = {"topics": {"Sports": ("football",)}}
browser = pytest.mark.browser


def find(corpus: Corpus, seed: int = 1, **changes: Any) -> list[str]:
    """Run the node and store what it yields, as the catalog does; return the new ids."""
    found = []
    for links in find_videos(corpus.state, corpus.access, corpus.parameters(**changes), seed):
        corpus.folder.save(links)
        found += [link.video_id for link in links]
    return found


@pytest.fixture
def large(tmp_path):
    with serve({"football": 30, "skating": 30, "guitar": 30}) as running:
        yield Corpus(running, tmp_path / "01_raw")


@browser
def test_a_page_is_scrolled_until_it_has_shown_enough_and_no_further(large):
    found = find(large, videos_per_topic=10, links_per_video=1, **SPORTS_ONLY)
    assert found == [post.video_id for post in large.site.of("football")[:10]]
    assert len(large.site.pages_asked("item_list")) == 4  # of three videos each
    assert large.site.pages_asked("/video/") == []


@browser
def test_the_hashtags_of_a_topic_share_evenly_and_in_random_order(large):
    parameters = {"topics": {"Sports": ("football", "skating"), "Music": ("guitar",)}}
    find(large, videos_per_topic=6, links_per_video=1, **parameters)
    hashtags = [link.hashtag for link in large.state.found.values()]
    assert {name: hashtags.count(name) for name in set(hashtags)} == {
        "football": 3,
        "skating": 3,
        "guitar": 6,
    }


@browser
def test_hashtags_that_have_too_few_videos_end_the_search(corpus, caplog):
    with caplog.at_level("INFO"):
        found = find(corpus, videos_per_topic=50)
    assert len(found) == 8
    assert "Sports: 4 of 75 wanted links found" in caplog.text


@browser
def test_a_second_search_finds_only_what_is_new(large):
    first = find(large, videos_per_topic=4, links_per_video=1, **SPORTS_ONLY)
    second = find(large, videos_per_topic=8, links_per_video=1, **SPORTS_ONLY)
    assert len(first) == len(second) == 4
    assert not set(first) & set(second)


def test_no_page_is_opened_where_enough_links_are_known(corpus):
    corpus.find("football", "guitar")
    assert find(corpus, videos_per_topic=2) == []
    assert corpus.site.asked == []


@browser
def test_a_cookie_dialog_is_declined(corpus):
    corpus.site.fail("/tag/", faults.consent_dialog)
    assert len(find(corpus, videos_per_topic=2, **SPORTS_ONLY)) == 3


@browser
def test_too_many_requests_are_repeated_when_the_site_allows(corpus):
    corpus.site.fail("/tag/", faults.too_many_requests("0"), times=2)
    assert len(find(corpus, videos_per_topic=2, **SPORTS_ONLY)) == 3


@browser
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (faults.captcha, r"captcha instead of the page of #football"),
        (faults.forbidden, r"403 Forbidden for the page of #football"),
        (faults.too_many_requests("0"), r"asked too often, even after 3 pauses \(status 429"),
        (faults.too_many_requests("7200"), r"asks to wait 7200 s"),
        (faults.redirect_loop, r"No hashtag's page could be read.*ERR_TOO_MANY_REDIRECTS"),
        (faults.changed_layout, r"there are 4 videos, but shows no link that matches a\[href"),
        (faults.old_layout_of_hashtag, r"no script element __UNIVERSAL_DATA_FOR_REHYDRATION__"),
        (faults.out_of_order, r"No hashtag's page could be read.*status 503"),
    ],
)
def test_a_site_that_shows_no_links_stops_the_run_and_says_why(corpus, fault, message):
    corpus.site.fail("/tag/", fault)
    limits = {"browser": {"page_seconds": 2}}
    with pytest.raises(CollectionError, match=message):
        find(corpus, **limits, **SPORTS_ONLY)


@browser
def test_a_captcha_after_scrolling_keeps_what_was_found(large):
    large.site.fail("cursor=9", faults.captcha_in_list)
    with pytest.raises(CollectionError, match="captcha instead of more of #football"):
        find(large, videos_per_topic=20, **SPORTS_ONLY)
    assert len(large.state.found) == 9


@browser
def test_a_list_that_is_refused_while_scrolling_is_asked_for_again(large):
    large.site.fail("cursor=6", faults.too_many_requests("0"), times=2)
    assert len(find(large, videos_per_topic=8, links_per_video=1, **SPORTS_ONLY)) == 8


@browser
def test_a_list_that_stays_refused_is_not_taken_for_its_end(large):
    large.site.fail("cursor=6", faults.forbidden)
    with pytest.raises(CollectionError, match="403 Forbidden for more of #football"):
        find(large, videos_per_topic=8, **SPORTS_ONLY)
    assert len(large.state.found) == 6


@browser
def test_no_more_hashtags_are_opened_than_are_needed(large):
    topics = {"Sports": ("football", "skating", "guitar")}
    assert len(find(large, topics=topics, videos_per_topic=1, links_per_video=1)) == 1
    assert len(large.site.pages_asked("/tag/")) == 1


@browser
def test_one_hashtag_that_fails_does_not_stop_the_others(corpus, caplog):
    corpus.site.fail("/tag/football", faults.redirect_loop)
    topics = {"Sports": ("football", "nosuchtag"), "Music": ("guitar",)}
    assert len(find(corpus, topics=topics, videos_per_topic=2)) == 3
    assert "#football cannot be read: redirect loop" in caplog.text
    assert "#nosuchtag: the site has no videos for it" in caplog.text


@browser
def test_cookies_of_the_user_reach_the_site(corpus, tmp_path):
    cookies = tmp_path / "cookies.txt"
    cookies.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\tabc\n")
    access = corpus.access.model_copy(update={"cookies_file": cookies})
    parameters = corpus.parameters(videos_per_topic=2, **SPORTS_ONLY)
    list(find_videos(corpus.state, access, parameters, 1))
    assert "session=abc" in corpus.site.cookies


OPEN_AND_WAIT = """
import sys
from tiktok_virality.collection.browser import open_browser
from tiktok_virality.collection.config import BrowserLimits, Politeness, SiteAccess
from tiktok_virality.collection.pacing import Pacer
with open_browser(SiteAccess(creator_key="k"), BrowserLimits(), Pacer(Politeness())):
    print("open", flush=True)
    sys.stdin.read()
"""


def is_running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@browser
def test_a_run_that_is_killed_outright_leaves_no_browser_behind():
    run = subprocess.Popen(
        [sys.executable, "-c", OPEN_AND_WAIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert run.stdout.readline() == b"open\n"
    started = psutil.Process(run.pid).children(recursive=True)
    assert len(started) > 3
    run.kill()
    run.communicate()
    deadline = time.monotonic() + 30
    while any(map(is_running, started)):
        assert time.monotonic() < deadline, [each for each in started if is_running(each)]


def test_a_machine_without_a_browser_is_told_what_to_install(corpus, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(CollectionError, match=r"chromium and chromedriver.*apt-get install chrom"):
        find(corpus)
