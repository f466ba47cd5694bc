"""Reading pages of every kind, written as the site is known to write them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tiktok_virality.collection import page_state
from tiktok_virality.collection.errors import LayoutError, VideoError

PAGES = Path(__file__).parent / "pages"
VIDEO_ID = "7301234567890123456"


def sample(name: str) -> str:
    return (PAGES / f"{name}.html").read_text(encoding="utf-8")


def item_of(name: str) -> dict:
    scope = page_state.video_scope(sample(name), VIDEO_ID)
    return scope["webapp.video-detail"]["itemInfo"]["itemStruct"]


@pytest.mark.parametrize("layout", ["video", "video_sigi"])
def test_both_layouts_give_the_same_video(layout):
    item = item_of(layout)
    assert item["id"] == VIDEO_ID
    assert item["stats"]["playCount"] == 1_200_000
    assert page_state.hashtags(item) == ["sports", "athletics"]
    assert page_state.is_original_sound(item)


@pytest.mark.parametrize(
    ("name", "reason", "is_final"),
    [
        ("video_deleted", "deleted", True),
        ("video_private", "private", True),
        ("video_private_account", "private", True),
        ("pictures", "no video", True),
    ],
)
def test_what_is_no_public_video_is_told_apart(name, reason, is_final):
    with pytest.raises(VideoError) as caught:
        item_of(name)
    assert (caught.value.reason, caught.value.is_final) == (reason, is_final)


def test_links_to_videos_are_found_once_each_and_in_order():
    addresses = re.findall(r'href="([^"]*)"', sample("hashtag"))
    assert page_state.video_ids(addresses) == [VIDEO_ID, "7299876543210987654"]


def test_a_hashtag_says_how_many_videos_it_has():
    assert page_state.hashtag_video_count(sample("hashtag"), "sports") == 1_830_000
    assert page_state.hashtag_video_count(sample("hashtag_unknown"), "spoorts") == 0


def test_only_the_captcha_page_is_a_captcha():
    """Ordinary pages load the captcha's script too."""
    captchas = {path.stem for path in PAGES.iterdir() if page_state.is_captcha(path.read_text())}
    assert captchas == {"captcha"}


def test_only_the_page_that_wants_a_computation_is_a_challenge():
    names = {path.stem for path in PAGES.iterdir() if page_state.is_challenge(path.read_text())}
    assert names == {"challenge"}


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("__UNIVERSAL_DATA_FOR", "__OTHER_DATA_FOR", "no script element __UNIVERSAL_DATA_FOR_"),
        ("__DEFAULT_SCOPE__", "__SCOPE__", r"has no __DEFAULT_SCOPE__ \(found: __SCOPE__\)"),
        ('"webapp.video-detail"', '"video"', "__DEFAULT_SCOPE__ has no webapp.video-detail"),
        ('"itemStruct"', '"item"', r"itemInfo has no itemStruct \(found: item\)"),
        ('"stats"', '"counts"', "itemStruct has no stats"),
        ('"playCount": 1200000', '"plays": 1', r"itemStruct\.stats has no playCount"),
        ('"uniqueId"', '"handle"', r"itemStruct\.author has no uniqueId"),
        ('"__DEFAULT_SCOPE__":', '"__DEFAULT_SCOPE__"', "is no JSON"),
    ],
)
def test_a_changed_layout_names_the_missing_key(old, new, complaint):
    page = sample("video")
    assert old in page
    with pytest.raises(LayoutError, match=complaint):
        page_state.video_scope(page.replace(old, new), VIDEO_ID)
