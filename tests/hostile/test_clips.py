"""What was found by the corpus, each with the smallest clip that shows it."""

from __future__ import annotations

import errno
import os
import resource
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from kedro.io import DataCatalog

from tests.hostile import bombs
from tests.hostile.boxes import Box, Movie, full_box
from tests.hostile.references import SCRIPTS, WAYS
from tests.stages.stores import stage_store
from tiktok_virality.datasets import VideoFolder
from tiktok_virality.execution import StagePlan
from tiktok_virality.media import audio, container
from tiktok_virality.media.audio import decode_audio
from tiktok_virality.media.clip import EncodedVideo, VideoFiles
from tiktok_virality.media.container import MOST_BYTES
from tiktok_virality.media.frames import FrameSampling, FrameTensor, sample_frames
from tiktok_virality.media.limits import ClipLimits
from tiktok_virality.media.motion import STEP, measure_steps
from tiktok_virality.media.probe import probe_video
from tiktok_virality.pipelines.ingestion.nodes import _outside
from tiktok_virality.pipelines.scoring.nodes import list_unposted
from tiktok_virality.schema import MediaError
from tiktok_virality.serving.scorer import Draft, _lay_out, _redirected
from tiktok_virality.stages.probing import ProbeVideos, video_items


@pytest.fixture
def movie(seeds) -> Movie:
    return Movie.of(seeds["h264_sound.mp4"])


def refusal(path: Path) -> MediaError:
    with pytest.raises(MediaError) as caught:
        probe_video(path)
    return caught.value


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_title_in_any_encoding_is_no_reason(movie, tmp_path):
    title = b"\xff\xfe caf\xe9"
    note = Box(b"\xa9nam", struct.pack(">HH", len(title), 0x55C4) + title)
    movie.one(b"moov").boxes.append(Box(b"udta", boxes=[note]))
    assert probe_video(write(tmp_path / "clip.mp4", movie.pack())).width == 72


def test_a_name_of_any_bytes_is_read_and_its_faults_are_told(seeds, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    good = write(folder / os.fsdecode(b"good \xff.mp4"), seeds["h264_sound.mp4"])
    write(folder / os.fsdecode(b"bad \xfe.mp4"), b"no video")
    assert len(decode_audio(good)) > 20_000
    store = stage_store(tmp_path / "probes", max_failure_share=1.0)
    store.save(
        StagePlan(
            items=video_items(VideoFolder(filepath=str(folder)).load()), transform=ProbeVideos()
        )
    )
    entries = store.load().entries
    assert entries["good \ufffd"].status == "done"
    assert entries["bad \ufffd"].reason == "unreadable"
    assert entries["bad \ufffd"].detail.startswith("bad ?.mp4")


def test_samples_that_all_lie_in_one_place_are_not_read_for_ever(movie, tmp_path):
    size = len(movie.one(b"mdat").content)
    start, count = movie.pack().index(b"mdat") + 4, 10_000
    for table in movie.all(b"stbl"):
        kept = [box for box in table.boxes if box.kind == b"stsd"]
        tables = [full_box(b"stts", 1, count, 1), full_box(b"stsc", 1, 1, 1, 1)]
        places = full_box(b"stco", count, rest=struct.pack(">I", start) * count)
        table.boxes = [*kept, *tables, full_box(b"stsz", size, count), places]
    path = write(tmp_path / "clip.mp4", movie.pack())
    assert "its packets hold more than" in refusal(path).detail
    with pytest.raises(MediaError, match="its packets hold more than"):
        sample_frames(path, FrameSampling())


def test_blocks_that_grow_when_unpacked_are_not_unpacked_for_ever(tmp_path):
    settings = bombs.element(0x5034, bombs.element(0x4254, b"\0"))
    packing = bombs.element(0x6D80, bombs.element(0x6240, bombs.element(0x5033, b"\0") + settings))
    block = zlib.compress(bombs.jpeg() + bytes(9 * 10**6), 9)
    whole = bombs.matroska([bombs.track(1, 1, b"V_MJPEG", packing)], [block] * 20)
    assert refusal(write(tmp_path / "clip.mkv", whole)).reason == "too large"


def test_a_huge_picture_is_refused_before_memory_is_taken_for_it(tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = refusal(write(tmp_path / "clip.mp4", bombs.gif(16_000, 16_000, 20)))
    assert told.reason in ("unreadable", "too large")
    taken_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert taken_kib < 16_000**2 // 1024  # a byte a pixel; decoded, it takes four


@pytest.mark.parametrize("codec", [b"png ", b"jpeg"])
def test_a_picture_that_says_its_size_itself_is_refused_too(tmp_path, codec):
    if codec == b"png ":
        picture = bombs.png(16_000, 10_000)
    else:
        data = bytearray(bombs.jpeg())
        struct.pack_into(">HH", data, data.index(b"\xff\xc0") + 5, 16_000, 16_000)
        picture = bytes(data)
    path = write(tmp_path / "clip.mov", bombs.still_movie(codec, picture, 64, frames=20))
    assert refusal(path).reason in ("unreadable", "too large")


def test_a_stream_that_grows_on_its_way_is_not_decoded(tmp_path):
    """Its last picture is 8,192 pixels wide and high; the file and the others say 64."""
    huge = bombs.png(8192, 8192, bits=8)
    content = bombs.still_movie(b"png ", bombs.png(200, 200), 200, frames=20, last=huge)
    path = write(tmp_path / "clip.mov", content)
    assert probe_video(path).frame_count == 20
    with pytest.raises(MediaError, match="Invalid argument"):
        sample_frames(path, FrameSampling(every_nth=1))


def test_a_clip_has_no_thousand_streams(tmp_path):
    tracks = [
        bombs.track(n, 1 if n == 1 else 17, b"V_MJPEG" if n == 1 else b"S_TEXT/UTF8")
        for n in range(1, 400)
    ]
    told = refusal(write(tmp_path / "clip.mkv", bombs.matroska(tracks, [bombs.jpeg()] * 20)))
    assert (told.reason, told.detail) == ("too large", "clip.mkv: 399 streams, more than 200")


def test_a_file_of_a_terabyte_is_not_read(seeds, tmp_path):
    path = write(tmp_path / "sparse.mp4", seeds["h264_sound.mp4"])
    with path.open("ab") as file:
        file.truncate(MOST_BYTES + 1)
    assert refusal(path).reason == "too large"


def test_what_is_no_file_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    assert "is no regular file" in refusal(tmp_path / "pipe.mp4").detail
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    assert "is no regular file" in refusal(tmp_path / "zero.mp4").detail
    with pytest.raises(MediaError, match="no regular file"):
        decode_audio(tmp_path / "pipe.mp4")


def test_a_picture_as_thin_as_a_hair_has_a_width(seeds, tmp_path):
    path = write(tmp_path / "clip.mp4", bombs.wide_movie(seeds["h264_mute.mp4"], 1, 60_000))
    probed = probe_video(path)
    assert (probed.width, probed.height) == (1, 128)
    assert sample_frames(path, FrameSampling()).pixels.any()


@pytest.mark.parametrize(
    "size", [(1, 128), (128, 1), (16, 128), (28, 128), (4, 4), (2, 2), (12, 640)]
)
def test_motion_is_measured_in_a_picture_of_any_shape(size):
    pixels = np.random.default_rng(1).integers(255, size=(5, 3, *size)).astype(np.uint8)
    frames = FrameTensor(pixels=pixels, timestamps_seconds=np.arange(5, dtype=np.float32) / 10)
    steps = measure_steps(frames)
    assert steps.shape == (4, len(STEP))
    assert np.isfinite(steps).all()


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
def test_a_missing_end_is_the_fault_of_the_file_and_not_of_the_disk(seeds, tmp_path, share):
    """ffmpeg calls both an input error; the first is a verdict, which is kept."""
    for name in ("h264_sound.mkv", "vp9_sound.webm"):
        path = tmp_path / name
        for place in range(40):
            path.write_bytes(seeds[name][: int(len(seeds[name]) * share) + place])
            assert refusal(path).reason == "unreadable"


def test_a_disk_that_gives_no_bytes_is_no_fault_of_the_clip(tmp_path, monkeypatch):
    path = write(tmp_path / "clip.mkv", b"x" * 100)

    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(container, "_opened", fails)
    monkeypatch.setattr(container, "_can_be_read", fails)
    with pytest.raises(OSError, match="Input/output error"):
        probe_video(path)


def test_a_sample_larger_than_memory_is_too_large(movie, tmp_path):
    run = Box(b"trun", struct.pack(">II", 0, 0x10000))
    head = Box(b"tfhd", struct.pack(">IIIII", 0x38, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0))
    extends = full_box(b"trex", 1, 1, 1, 2, 0)
    movie.one(b"moov").boxes.append(Box(b"mvex", boxes=[extends]))
    traf = Box(b"traf", boxes=[head, run])
    movie.boxes.append(Box(b"moof", boxes=[full_box(b"mfhd", 1), traf]))
    told = refusal(write(tmp_path / "clip.mp4", movie.pack()))
    assert (told.reason, told.detail) == (
        "too large",
        "clip.mp4: it takes more memory than may be had",
    )


def test_sound_that_lasts_for_days_makes_a_clip_too_long(movie, tmp_path):
    for box in movie.all(b"stts"):
        if box is movie.all(b"stts")[-1]:
            box.content = full_box(b"stts", 3, 5, 1024, 1, 10**9, 100, 1024).content
    path = write(tmp_path / "clip.mp4", movie.pack())
    probed = probe_video(path)
    assert probed.duration_seconds < 2 < 20_000 < probed.sound_seconds
    row = {"video_id": "clip", **vars(probed)}
    [told] = _outside(pd.DataFrame([row]), ClipLimits())
    assert told["reason"] == "too long"
    assert "s of sound is more than" in told["detail"]


def test_a_gap_in_the_sound_is_not_filled_for_ever(movie, tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "MOST_SECONDS", 5)
    movie.all(b"stts")[-1].content = full_box(b"stts", 3, 5, 1024, 1, 10**9, 100, 1024).content
    assert len(decode_audio(write(tmp_path / "clip.mp4", movie.pack()))) <= 5 * 16_000


def test_more_frames_than_a_camera_takes_are_too_many():
    probed = {"video_id": "a", "duration_seconds": 20.0, "sound_seconds": 0.0, "fps": 1000.0}
    [told] = _outside(pd.DataFrame([probed]), ClipLimits())
    assert (told["reason"], told["detail"]) == (
        "too large",
        "1000 frames a second are more than ingestion.limits.max_frames_hz=250",
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_no_playlist_is_followed(trap, tmp_path, script):
    path = tmp_path / "clip.mp4"
    up = f"../{trap.folder.name}/{trap.clip.name}"
    for way in WAYS:
        it = way.format(path=trap.clip, up=up, port=trap.port)
        path.write_text(SCRIPTS[script].replace("{it}", it).replace("{port}", str(trap.port)))
        for read in (probe_video, decode_audio, lambda path: sample_frames(path, FrameSampling())):
            with pytest.raises(MediaError):
                read(path)
    assert trap.sprung() == []


@pytest.mark.parametrize("script", ["hls", "concat", "sdp", "dash", "hls key"])
def test_nor_does_ffmpeg_follow_one_that_got_past_the_probe(trap, tmp_path, monkeypatch, script):
    monkeypatch.setattr(audio, "_choose_track", lambda path: (0, 1))
    text = SCRIPTS[script].replace("{it}", str(trap.clip)).replace("{port}", str(trap.port))
    path = tmp_path / "clip.mp4"
    path.write_text(text)
    with pytest.raises(MediaError, match="ffmpeg says"):
        decode_audio(path)
    assert trap.sprung() == []


def test_samples_in_another_file_are_not_fetched(seeds, trap, tmp_path):
    from tests.hostile.references import outside_samples

    for number in range(12):
        suffix, content = outside_samples(np.random.default_rng(number), seeds, trap)
        path = write(tmp_path / f"clip{suffix}", content)
        for read in (probe_video, decode_audio):
            try:
                read(path)
            except MediaError:
                continue
    assert trap.sprung() == []


def loaded(folder: Path, **options: bool) -> dict[str, str | None]:
    files: VideoFiles = VideoFolder(filepath=str(folder), **options).load()
    videos: list[EncodedVideo] = list(files.values())
    return {video.video_id: video.obstacle for video in videos}


def test_what_is_no_file_is_an_obstacle_and_a_link_out_of_the_folder_where_it_is_not_trusted(
    seeds, trap, tmp_path
):
    folder = tmp_path / "videos"
    folder.mkdir()
    write(folder / "here.mp4", seeds["h264_mute.mp4"])
    (folder / "inside.mp4").symlink_to("here.mp4")
    (folder / "outside.mp4").symlink_to(trap.clip)
    (folder / "device.mp4").symlink_to("/dev/zero")
    (folder / "nowhere.mp4").symlink_to("nothing")
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "folder").symlink_to(trap.folder)
    (folder / "directory.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    found = loaded(folder, follow_links=False)
    assert found["here"] is found["inside"] is None
    assert found["outside"].startswith("a link leads out of the folder")
    assert found["nowhere"] == found["loop"] == "a link leads nowhere"
    assert found["device"] == found["pipe"] == "it is no regular file"
    assert set(found) == {"here", "inside", "outside", "device", "nowhere", "loop", "pipe"}
    assert trap.sprung() == []
    assert loaded(folder) == found | {"outside": None}


def test_a_folder_that_is_itself_a_link_is_the_users_own(seeds, tmp_path):
    (tmp_path / "disk").mkdir()
    write(tmp_path / "disk" / "a.mp4", seeds["h264_mute.mp4"])
    (tmp_path / "videos").symlink_to(tmp_path / "disk")
    assert loaded(tmp_path / "videos", follow_links=False) == {"a": None}


def test_a_scorer_reads_the_clips_that_it_was_given_wherever_they_lie(seeds, tmp_path):
    """It lays links to them into a folder of its own, which are its own to follow."""
    draft = Draft(path=write(tmp_path / "draft.mp4", seeds["h264_mute.mp4"]))
    place = tmp_path / "score"
    place.mkdir()
    _lay_out({"draft": draft}, place)
    kind = "tiktok_virality.datasets.VideoFolder"
    entries = {"unposted_videos": {"type": kind, "filepath": "data/01_raw/unposted"}}
    catalog = DataCatalog.from_config(_redirected(entries, place, few=True))
    videos = catalog.load("unposted_videos")
    assert {name: video.obstacle for name, video in videos.items()} == {"draft": None}
    assert list_unposted(videos, pd.DataFrame(columns=["id", "file"]))["reason"].isna().all()
