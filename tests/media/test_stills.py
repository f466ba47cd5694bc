from __future__ import annotations

import numpy as np
import pytest

from tests.media.encoding import ffmpeg, h264, picture
from tiktok_virality.media import frames as module
from tiktok_virality.media.frames import FrameSampling, sample_frames, sample_together
from tiktok_virality.media.stills import StillSampling, decode_still, encode_still
from tiktok_virality.schema import MediaError


@pytest.mark.parametrize(
    ("name", "shape"),
    [("h264_b_frames.mp4", (128, 72)), ("landscape.mp4", (72, 128)), ("odd_size.mp4", (128, 72))],
)
def test_a_still_has_the_shape_of_its_clip_and_no_bars(clip, name, shape):
    taken = sample_frames(clip(name), StillSampling(count=3, longest_side=128))
    assert taken.pixels.shape == (3, 3, *shape)
    assert taken.pixels[0, :, [0, -1]].max() > 24
    assert taken.pixels[0, :, :, [0, -1]].max() > 24


def test_a_still_is_never_enlarged(clip):
    assert sample_frames(clip("landscape.mp4"), StillSampling()).pixels.shape[2:] == (144, 256)


def test_stills_are_the_middles_of_equal_stretches():
    assert StillSampling(count=4).indices(np.arange(40) / 30) == [5, 15, 25, 35]
    assert StillSampling(count=4).indices(np.arange(3) / 30) == [0, 1, 2]
    assert StillSampling(count=1).indices(np.arange(7) / 30) == [3]
    assert StillSampling().indices(np.arange(0) / 30) == []


@pytest.mark.parametrize("name", ["h264_open_gop.mp4", "h264_gradual_refresh.mp4", "vp9.webm"])
def test_together_each_sampling_gives_what_it_gives_alone(clip, name):
    samplings = [FrameSampling(every_nth=7), StillSampling(count=5), FrameSampling(max_frames=2)]
    for sampling, together in zip(samplings, sample_together(clip(name), samplings), strict=True):
        alone = sample_frames(clip(name), sampling)
        np.testing.assert_array_equal(together.pixels, alone.pixels)
        np.testing.assert_array_equal(together.timestamps_seconds, alone.timestamps_seconds)


def test_together_they_are_decoded_once(clip, monkeypatch):
    decoded: list[int] = []
    decode = module._decode

    def counting(decoder, packets, wanted_times=None):
        decoded.append(len(packets))
        return decode(decoder, packets, wanted_times)

    monkeypatch.setattr(module, "_decode", counting)
    every = FrameSampling(every_nth=1, max_frames=None)
    sample_together(clip("h264_b_frames.mp4"), [every, StillSampling(), every])
    assert sum(decoded) == 60


def test_a_stream_that_changes_its_shape_keeps_the_shape_of_its_first_still(tmp_path):
    for name, size in (("tall", "90x160"), ("wide", "160x90")):
        ffmpeg(*picture(1, size), *h264(), "-f", "mpegts", tmp_path / f"{name}.ts")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join((tmp_path / f"{n}.ts").read_bytes() for n in ("tall", "wide")))
    taken = sample_frames(joined, StillSampling(count=4, longest_side=160))
    assert taken.pixels.shape == (4, 3, 160, 90)
    assert taken.pixels[-1, :, 0].max() == 0  # a wide frame on a tall canvas
    assert taken.pixels[-1, :, 80].max() > 24


def test_a_still_survives_its_file_nearly_unchanged():
    ramp = np.linspace(0, 255, 64).astype(np.uint8)
    pixels = np.stack([np.tile(ramp, (48, 1))] * 3)
    back = decode_still(encode_still(pixels))
    assert (back.shape, back.dtype) == ((3, 48, 64), np.uint8)
    assert np.abs(back.astype(int) - pixels).max() <= 4


def test_what_is_no_jpeg_is_an_unreadable_still():
    with pytest.raises(MediaError, match="unreadable still"):
        decode_still(b"no picture")
