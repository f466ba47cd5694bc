from __future__ import annotations

import logging
import shutil

import pandas as pd
import pytest

from tests.media.encoding import ffmpeg, h264, picture
from tiktok_virality.evaluation.config import EvaluationParameters
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.media.limits import ClipLimits, DuplicateParameters, SplitParameters
from tiktok_virality.media.motion import MotionSampling
from tiktok_virality.media.stills import StillSampling, decode_still
from tiktok_virality.pipelines.ingestion.manifest import (
    ManifestSchema,
    RejectedVideosSchema,
    SplitsSchema,
)
from tiktok_virality.pipelines.ingestion.nodes import (
    decode_videos,
    fingerprint_videos,
    probe_videos,
    split_videos,
)
from tiktok_virality.schema import DataError

ID = "7106594312292453675"


def test_a_usable_video_has_all_that_is_known_in_its_row(corpus):
    corpus.add(f"{ID}.mp4")
    corpus.describe(
        {
            "id": int(ID),
            "url": f"https://www.tiktok.com/@ann/video/{ID}",
            "views": "21.1M",
            "caption": "Look #Fun",
        }
    )
    manifest, rejects = corpus.ingest()
    ManifestSchema.validate(manifest)
    row = manifest.iloc[0]
    assert (row.video_id, row.creator_id, row.views) == (ID, "ann", 21_100_000)
    assert (row.width, row.height, row.video_codec, row.has_audio) == (72, 128, "h264", False)
    assert row.duration_seconds == pytest.approx(1.5)
    assert row.fps == pytest.approx(10)
    assert row.posted_at == pd.Timestamp(int(ID) >> 32, unit="s", tz="UTC")
    assert (row.caption, row.hashtags) == ("Look #Fun", "fun")
    assert pd.isna(row.captured_at)
    assert rejects.empty


def test_every_bad_video_is_rejected_with_its_reason_and_nothing_else_is_lost(corpus, caplog):
    corpus.add("good.mp4")
    corpus.add("copy.mp4")
    corpus.add("orphan.mp4", "green")
    corpus.add("uncounted.mp4", "blue")
    (corpus.videos / "text.mp4").write_text("no video")
    (corpus.videos / "zero.mp4").touch()
    cut = corpus.add("cut.mp4", "pink")
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    ffmpeg(*picture(1), "-frames:v", "1", *h264(), corpus.videos / "one_frame.mp4")
    ffmpeg(*picture(4, "64x64", 5), *h264(), corpus.videos / "long.mp4")
    tone = ["-f", "lavfi", "-i", "sine=duration=2"]
    ffmpeg(*tone, "-c:a", "aac", "-f", "mp4", corpus.videos / "song.mp4")
    names = ["good", "copy", "text", "zero", "cut", "one_frame", "long", "song", "nowhere"]
    corpus.describe(
        *({"id": name, "views": "1.5K"} for name in names),
        {"id": "uncounted", "views": "lots"},
        {"id": "good", "views": 99},
    )
    with caplog.at_level(logging.INFO):
        manifest, rejects = corpus.ingest(ClipLimits(min_seconds=1, max_seconds=3))
    RejectedVideosSchema.validate(rejects)
    assert manifest["video_id"].tolist() == ["good"]
    assert {(row.video_id, row.stage, row.reason) for row in rejects.itertuples()} == {
        ("copy", "selection", "identical content"),
        ("text", "probe", "unreadable"),
        ("zero", "probe", "unreadable"),
        ("cut", "probe", "unreadable"),
        ("one_frame", "selection", "too short"),
        ("long", "selection", "too long"),
        ("song", "probe", "no video stream"),
        ("nowhere", "posts", "no file"),
        ("uncounted", "posts", "bad count"),
        ("good", "posts", "duplicate id"),
        ("orphan", "posts", "no metadata"),
    }
    details = rejects.set_index(["video_id", "reason"])["detail"]
    assert "'lots'" in details["uncounted", "bad count"]
    assert "says 1500 views and is kept; this one says 99" in details["good", "duplicate id"]
    assert "'good'" in details["copy", "identical content"]
    assert "1 videos are usable; 11 rejected (unreadable 3" in caplog.text


def test_a_repeated_post_that_agrees_is_a_duplicate_too(corpus):
    corpus.add("a.mp4")
    corpus.describe({"id": "a", "views": "1K"}, {"id": "a", "views": 1000})
    manifest, rejects = corpus.ingest()
    assert manifest["views"].tolist() == [1000]
    assert rejects["reason"].tolist() == ["duplicate id"]
    assert "same views" in rejects["detail"][0]


def test_a_good_count_is_kept_whatever_a_repeated_post_says(corpus):
    corpus.add("a.mp4")
    corpus.describe({"id": "a", "views": "?"}, {"id": "a", "views": "12"})
    manifest, rejects = corpus.ingest()
    assert manifest["views"].tolist() == [12]
    assert rejects["reason"].tolist() == ["bad count"]


def test_a_remuxed_copy_stays_and_shares_its_group(corpus):
    original = corpus.add("a.mp4")
    ffmpeg("-i", original, "-c", "copy", corpus.videos / "b.mkv")
    corpus.add("c.mp4", "green")
    corpus.describe(*({"id": name, "views": 1} for name in "abc"))
    manifest, rejects = corpus.ingest()
    groups = manifest.set_index("video_id")["duplicate_group"]
    assert rejects.empty
    assert groups["a"] == groups["b"] != groups["c"]


@pytest.mark.parametrize(
    ("name", "post"),
    [
        ("topic%2F71.5.mp4", {"id": "topic/71.5"}),
        ("topic/71.5.mp4", {"id": "topic/71.5"}),
        ("dance/7106.mp4", {"id": "7106"}),
        ("cafe\u0301.mp4", {"id": "caf\u00e9"}),
        ("日本 語.mov", {"id": "日本 語"}),
        ("my%20clip.mp4", {"id": "my%20clip"}),
        ("%2E.%2F..%2Fescape.mp4", {"id": "../../escape"}),
        ("Any name.mp4", {"id": "7106", "file": "Any name.mp4"}),
        ("a/b.mp4", {"file": "01_raw/videos/a/b.mp4"}),
        ("a/b.mp4", {"file": "videos\\a\\b.mp4"}),
    ],
)
def test_a_post_finds_its_file_whatever_the_id(corpus, name, post):
    corpus.add(name)
    corpus.describe({**post, "views": 5})
    manifest, rejects = corpus.ingest()
    assert len(manifest) == 1
    assert rejects.empty
    assert manifest["video_id"][0] in corpus.load()[1]


def test_a_name_that_two_folders_hold_is_not_guessed(corpus):
    corpus.add("a/1.mp4")
    corpus.add("b/1.mp4", "green")
    corpus.add("c.mp4", "blue")
    corpus.describe({"id": "1", "views": 5}, {"id": "c", "views": 5})
    manifest, rejects = corpus.ingest()
    assert manifest["video_id"].tolist() == ["c"]
    assert sorted(rejects["reason"]) == ["no file", "no metadata", "no metadata"]


def test_an_empty_folder_says_what_to_put_where(corpus):
    corpus.describe({"id": "1", "views": 5})
    with pytest.raises(DataError, match=r"No videos in .*01_raw/videos.*\.mp4.*--env demo"):
        corpus.match()


def test_an_empty_list_of_posts_says_what_a_post_is(corpus):
    corpus.add("a.mp4")
    corpus.describe()
    with pytest.raises(DataError, match=r"metadata is empty, and 1 videos .*\"id\": \"a\""):
        corpus.match()


def test_posts_that_mean_no_video_at_all_stop_the_run_with_examples(corpus):
    corpus.add("a.mp4")
    corpus.describe({"id": "7106", "views": 5})
    with pytest.raises(DataError, match=r"None of the 1 posts .*'7106'; files are 'a\.mp4'"):
        corpus.match()


def test_rounded_ids_are_taken_from_the_addresses_and_said_once(corpus, caplog):
    other = ID[:-1] + "9"
    corpus.add(f"{ID}.mp4")
    corpus.add(f"{other}.mp4", "green")
    address = "https://www.tiktok.com/@a/video/"
    corpus.describe(
        {"id": "7.10659E+18", "url": address + ID, "views": 5},
        {"id": ID[:15] + "0000", "url": address + other, "views": 6},
    )
    posts = corpus.match()
    assert posts["video_id"].tolist() == [ID, other]
    assert posts["reason"].isna().all()
    said = [each.message for each in caplog.records if "rounded the ids of 2 posts" in each.message]
    assert len(said) == 1


def test_an_id_that_only_the_address_gives_is_taken_from_it(corpus):
    corpus.add(f"{ID}.mp4")
    corpus.describe({"url": f"https://www.tiktok.com/@a/video/{ID}", "views": 5})
    posts = corpus.match()
    assert posts["video_id"].tolist() == [ID]
    assert posts["posted_at_from"].tolist() == ["id"]


@pytest.mark.parametrize("post_id", ["7.10659E+18", "7,10659E+18", ID[:15] + "0000"])
def test_rounded_ids_without_addresses_are_named_as_such(corpus, post_id):
    corpus.add(f"{ID}.mp4")
    corpus.describe({"id": post_id, "views": 5})
    with pytest.raises(DataError, match=r"rounded 1 of the 1 ids.*as text.*`url`"):
        corpus.match()
    corpus.describe({"id": post_id, "views": 5}, {"id": ID, "views": 5})
    assert "rounded the id" in corpus.match()["detail"][0]


def test_nothing_usable_stops_the_run_with_the_reasons(corpus):
    (corpus.videos / "a.mp4").write_text("no video")
    corpus.describe({"id": "a", "views": 5})
    with pytest.raises(DataError, match=r"No video is usable: 1 rejected \(unreadable 1\)"):
        corpus.ingest()


def test_only_bad_counts_stop_the_run_too(corpus):
    corpus.add("a.mp4")
    corpus.describe({"id": "a", "views": "?"})
    with pytest.raises(DataError, match=r"(?s)bad count 1.*'\?' is unreadable"):
        corpus.ingest()


def test_the_videos_are_divided(corpus):
    colors = ("red", "green", "blue", "white")
    for color in colors:
        corpus.add(f"{color}.mp4", color)
    corpus.describe(*({"id": color, "views": 5} for color in colors))
    manifest, _ = corpus.ingest()
    splits = split_videos(
        manifest, SplitParameters(), EvaluationParameters(scheme="holdout"), seed=1
    )
    SplitsSchema.validate(splits)
    assert sorted(splits["split"]) == ["calibration", "test", "train", "validation"]


def test_the_real_clips_are_ingested(corpus, real_clips, reasons):
    for path in real_clips.glob("*.mp4"):
        shutil.copy(path, corpus.videos)
    corpus.describe(*({"id": path.stem, "views": "1K"} for path in real_clips.glob("*.mp4")))
    manifest, rejects = corpus.ingest()
    assert len(manifest) == 6
    assert reasons(rejects) == {}


def test_a_file_that_is_there_twice_is_used_once_and_one_out_of_limits_never_decoded(corpus):
    for name in ("first", "again"):
        corpus.add(f"{name}.mp4")
    corpus.add("other.mp4", "green")
    ffmpeg(*picture(4, "64x64", 5), *h264(), corpus.videos / "long.mp4")
    corpus.describe(*({"id": name, "views": 1} for name in ("first", "again", "other", "long")))
    manifest, _ = corpus.ingest(ClipLimits(min_seconds=1, max_seconds=3))
    frames = corpus.table("frames")
    assert manifest["video_id"].tolist() == ["first", "other"]
    assert set(frames.ids) == {"first", "again", "other"}
    row = frames.row("other")
    assert len(row["stills"]) == len(row["still_seconds"]) == 2
    assert decode_still(row["stills"][0]).shape == (3, 128, 72)


def test_decoding_with_other_frames_takes_no_fingerprint_anew(corpus):
    corpus.add("a.mp4")
    corpus.describe({"id": "a", "views": 1})
    corpus.ingest()
    posts, videos = corpus.match(), corpus.load()[1]
    duplicates, small = DuplicateParameters(), FrameSampling(shrink=64)
    probes = corpus.run(probe_videos(posts, videos), "probes")
    before = corpus.table("fingerprints")
    decoding = decode_videos(
        probes, videos, ClipLimits(), small, StillSampling(), MotionSampling(), duplicates
    )
    frames = corpus.run(decoding, "frames")
    waveforms = corpus.table("waveforms")
    after = corpus.run(fingerprint_videos(frames, waveforms, duplicates), "fingerprints")
    assert frames.row("a", ["pixels"])["pixels"].shape[2:] == (16, 9)
    assert after.entries == before.entries
