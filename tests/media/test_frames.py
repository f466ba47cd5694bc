from __future__ import annotations

import gc
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from pydantic import ValidationError

from tests.media.encoding import ffmpeg, h264, picture
from tiktok_virality.media.container import choose_video_stream
from tiktok_virality.media.frames import FrameSampling, sample_frames
from tiktok_virality.media.probe import probe_video
from tiktok_virality.schema import MediaError

EVERY = FrameSampling(every_nth=1, max_frames=None)
MOVING_CLIPS = [
    "h264_b_frames.mp4",
    "h264_open_gop.mp4",
    "h264_gradual_refresh.mp4",
    "h264_no_b_frames.mp4",
    "hevc_closed_gop.mp4",
    "hevc_open_gop.mp4",
    "vp9.webm",
    "av1.mp4",
    "variable_rate.mp4",
    "odd_size.mp4",
]
REAL_CLIPS = [
    "nasa_webb_speech.mp4",
    "portrait_hevc_speech.mp4",
    "no_audio_track.mp4",
    "bad_container.mp4",
    "av1_video.mp4",
]


def decode_everything(path: Path) -> list[tuple[float, np.ndarray]]:
    """Return time and upright RGB picture [H, W, 3] of every frame, by the plainest means."""
    with av.open(str(path)) as container:
        stream = choose_video_stream(container)
        return [
            (float(frame.pts * stream.time_base), frame.to_ndarray(format="rgb24"))
            for frame in container.decode(stream)
        ]


def assert_same_as_decoding_everything(path: Path, every_nth: int) -> None:
    everything = sample_frames(path, EVERY)
    sampling = FrameSampling(every_nth=every_nth, max_frames=None)
    wanted = sampling.indices(everything.timestamps_seconds)
    sampled = sample_frames(path, sampling)
    np.testing.assert_array_equal(sampled.pixels, everything.pixels[wanted])
    np.testing.assert_array_equal(sampled.timestamps_seconds, everything.timestamps_seconds[wanted])


@pytest.mark.parametrize("every_nth", [7, 10, 23, 50])
@pytest.mark.parametrize("name", MOVING_CLIPS)
def test_sampling_gives_what_decoding_everything_and_picking_gives(clip, name, every_nth):
    assert_same_as_decoding_everything(clip(name), every_nth)


@pytest.mark.parametrize("name", MOVING_CLIPS)
def test_keeping_every_frame_gives_every_frame_in_order_of_showing(clip, name):
    plain = decode_everything(clip(name))
    sampled = sample_frames(clip(name), EVERY)
    np.testing.assert_allclose(sampled.timestamps_seconds, [time for time, _ in plain], atol=1e-5)


def test_sampled_pixels_are_those_of_the_picture(clip):
    sampling = FrameSampling(
        every_nth=20, shrink=1, max_frames=None, reference_height=256, reference_width=144
    )
    plain = decode_everything(clip("h264_b_frames.mp4"))[::20]
    sampled = sample_frames(clip("h264_b_frames.mp4"), sampling)
    expected = np.stack([pixels.transpose(2, 0, 1) for _, pixels in plain])
    np.testing.assert_array_equal(sampled.pixels, expected)


@pytest.mark.parametrize("every_nth", [10, 50])
@pytest.mark.parametrize("name", REAL_CLIPS)
def test_real_clips_are_sampled_exactly(real_clips, name, every_nth):
    assert_same_as_decoding_everything(real_clips / name, every_nth)


def test_a_sparse_sample_decodes_only_the_groups_that_it_needs(clip, monkeypatch):
    from tiktok_virality.media import frames as module

    decoded: list[int] = []
    decode = module._decode

    def counting(decoder, packets, wanted_times=None):
        decoded.append(len(packets))
        return decode(decoder, packets, wanted_times)

    monkeypatch.setattr(module, "_decode", counting)
    sample_frames(clip("h264_b_frames.mp4"), FrameSampling(every_nth=30))
    assert decoded == [1, 1]


def test_a_clip_cut_in_the_middle_of_an_open_group_keeps_its_frames(clip, tmp_path):
    for name in ("h264_open_gop.mp4", "hevc_open_gop.mp4"):
        path = tmp_path / name
        ffmpeg("-ss", "0.8", "-i", clip(name), "-c", "copy", path)
        assert_same_as_decoding_everything(path, 7)


def test_no_more_than_max_frames_are_kept_and_they_spread_over_the_clip(clip):
    sampled = sample_frames(clip("h264_b_frames.mp4"), FrameSampling(every_nth=1, max_frames=5))
    np.testing.assert_allclose(
        sampled.timestamps_seconds, np.array([0, 15, 30, 44, 59]) / 30, atol=1e-5
    )


def test_indices_follow_every_nth_and_max_frames():
    seconds = np.arange(35) / 30
    assert FrameSampling(every_nth=10, max_frames=None).indices(seconds) == [0, 10, 20, 30]
    assert FrameSampling(every_nth=10, max_frames=2).indices(seconds) == [0, 30]
    assert FrameSampling(every_nth=10, max_frames=1).indices(seconds) == [0]
    assert FrameSampling(every_nth=10).indices(seconds[:1]) == [0]


@pytest.mark.parametrize("rate", [60, 30, 25, 24, 16])
def test_at_usual_rates_frames_are_counted(rate):
    seconds = np.arange(200) / rate
    assert FrameSampling(every_nth=7, max_frames=None).indices(seconds) == list(range(0, 200, 7))


def test_frames_that_are_rare_are_counted_by_time():
    """A slide show has a frame for each picture: every tenth would be one in twenty seconds."""
    every_tenth = FrameSampling(every_nth=10, max_frames=None)
    assert every_tenth.indices(np.arange(5) * 2.0) == [0, 1, 2, 3, 4]
    assert every_tenth.indices(np.arange(20) / 5) == [0, 4, 8, 12, 16]
    fast_then_slow = np.concatenate([np.arange(30) / 30, 1 + np.arange(4) * 1.5])
    assert every_tenth.indices(fast_then_slow) == [0, 10, 20, 30, 31, 32, 33]


def test_every_clip_gives_the_same_shape(clip):
    for name in ("h264_b_frames.mp4", "landscape.mp4", "odd_size.mp4", "one_frame.mp4"):
        frames = sample_frames(clip(name), FrameSampling())
        assert frames.pixels.shape[1:] == (3, 128, 72)
        assert frames.pixels.dtype == np.uint8
        assert frames.timestamps_seconds.dtype == np.float32


def test_a_clip_of_one_frame_gives_one_frame(clip):
    frames = sample_frames(clip("one_frame.mp4"), FrameSampling())
    assert len(frames.pixels) == len(frames.timestamps_seconds) == 1


def test_a_landscape_clip_keeps_its_shape_between_black_bars(clip):
    pixels = sample_frames(clip("landscape.mp4"), FrameSampling()).pixels
    rows = np.flatnonzero(pixels.max(axis=(0, 1, 3)))
    assert (rows[0], rows[-1]) == (44, 83)  # 72 wide makes 40 high, centred in 128


def test_pixels_that_are_not_square_are_shown_at_their_true_shape(tmp_path):
    path = tmp_path / "anamorphic.mp4"
    ffmpeg(*picture(1, "144x144"), "-vf", "setsar=16/9", *h264(), path)
    pixels = sample_frames(path, FrameSampling()).pixels
    rows = np.flatnonzero(pixels.max(axis=(0, 1, 3)))
    assert (rows[0], rows[-1]) == (44, 83)


@pytest.mark.parametrize("mirror", [[], ["-display_hflip"], ["-display_vflip"]])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_the_display_matrix_is_honoured_as_ffmpeg_does(clip, tmp_path, degrees, mirror):
    turned, shown = tmp_path / "turned.mp4", tmp_path / "shown.mkv"
    options = ["-display_rotation", str(degrees), *mirror]
    ffmpeg(*options, "-i", clip("landscape.mp4"), "-c", "copy", turned)
    ffmpeg("-i", turned, "-frames:v", "1", "-c:v", "ffv1", shown)  # ffmpeg turns on its own
    one = FrameSampling(max_frames=1, shrink=4)
    ours = sample_frames(turned, one).pixels.astype(int)
    theirs = sample_frames(shown, one).pixels.astype(int)
    assert np.abs(ours - theirs).mean() < 2
    assert np.abs(ours - theirs[..., ::-1, :]).mean() > 10
    assert np.abs(ours - theirs[..., ::-1]).mean() > 10


def test_of_two_video_streams_the_default_is_taken_and_else_the_larger(clip, tmp_path):
    path = tmp_path / "two.mkv"
    both = ["-i", clip("landscape.mp4"), "-i", clip("odd_size.mp4"), "-map", "0", "-map", "1"]
    ffmpeg(*both, "-c", "copy", "-disposition", "0", "-default_mode", "passthrough", path)
    with av.open(str(path)) as container:
        assert choose_video_stream(container).codec_context.width == 145
    ffmpeg(*both, "-c", "copy", "-disposition:0", "default", "-disposition:1", "0", path)
    with av.open(str(path)) as container:
        assert choose_video_stream(container).codec_context.width == 256


def test_cover_art_is_no_video(clip, tmp_path):
    art, song = tmp_path / "art.png", tmp_path / "song.m4a"
    ffmpeg(*picture(1), "-frames:v", "1", art)
    inputs = ["-i", clip("sound_only.m4a"), "-i", art, "-map", "0", "-map", "1"]
    ffmpeg(*inputs, "-c", "copy", "-disposition:v", "attached_pic", song)
    with pytest.raises(MediaError, match="no video stream"):
        sample_frames(song, FrameSampling())


def test_a_file_that_is_no_video_says_so(tmp_path):
    path = tmp_path / "letter.mp4"
    path.write_text("Dear reader, this is no video.")
    with pytest.raises(MediaError, match=r"unreadable: letter\.mp4"):
        sample_frames(path, FrameSampling())


def test_damaged_packets_cost_frames_and_not_the_clip(clip, tmp_path):
    content = bytearray(clip("h264_b_frames.mp4").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    assert len(sample_frames(path, FrameSampling(every_nth=1, max_frames=None)).pixels) > 20


def test_a_frame_tensor_prints_its_shape(clip):
    frames = sample_frames(clip("one_frame.mp4"), FrameSampling())
    assert repr(frames) == "FrameTensor(pixels=uint8 [1, 3, 128, 72])"


def test_sampling_refuses_values_out_of_range():
    with pytest.raises(ValidationError, match="every_nth"):
        FrameSampling(every_nth=0)


def test_decoded_pictures_leave_memory_with_the_clip(clip):
    """A frame in a cycle is freed by the collector alone: of 2,400 clips, 1.8 GB were left."""
    path = clip("with_sound.mp4")
    gc.collect()
    gc.disable()
    try:
        sample_frames(path, FrameSampling(shrink=32))
        probe_video(path)
        left = [each for each in gc.get_objects() if isinstance(each, VideoFrame)]
    finally:
        gc.enable()
    assert left == []
