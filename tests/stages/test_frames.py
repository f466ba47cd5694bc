from __future__ import annotations

import pickle

import numpy as np

from tests.media.encoding import ffmpeg, h264, picture
from tests.stages.items import item_of
from tiktok_virality.execution import Done, Failed
from tiktok_virality.media.fingerprint import hash_frames, hash_sampling
from tiktok_virality.media.frames import FrameSampling, sample_frames
from tiktok_virality.media.motion import MotionSampling, measure_steps
from tiktok_virality.media.stills import StillSampling, decode_still
from tiktok_virality.stages.frames import ClipDecoder, FrameExtractor


def test_frames_and_their_times_become_columns_and_a_broken_file_fails_alone(tmp_path):
    ffmpeg(*picture(1), *h264(), tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_text("no video")
    good, bad = FrameExtractor(FrameSampling())(
        [item_of(tmp_path / "a.mp4"), item_of(tmp_path / "b.mp4")]
    )
    assert isinstance(good, Done)
    assert good.columns["pixels"].shape == (3, 3, 128, 72)
    np.testing.assert_allclose(good.columns["timestamps_seconds"], [0, 1 / 3, 2 / 3], atol=1e-5)
    assert isinstance(bad, Failed)
    assert bad.reason == "unreadable"


def test_the_sampling_decides_the_identity_and_the_extractor_travels_to_workers():
    extractor = FrameExtractor(FrameSampling(shrink=4))
    assert extractor.identity() != FrameExtractor(FrameSampling()).identity()
    assert pickle.loads(pickle.dumps(extractor)) == extractor


def test_one_decoding_gives_small_frames_stills_motion_and_hashes_as_each_alone_would(tmp_path):
    ffmpeg(*picture(3, "320x180"), *h264(), tmp_path / "a.mp4")
    sampling, stills = FrameSampling(shrink=16), StillSampling(count=4, longest_side=160)
    motion = MotionSampling(longest_side=64)
    (done,) = ClipDecoder(sampling, stills, motion, hashed=6)([item_of(tmp_path / "a.mp4")])
    assert isinstance(done, Done)
    alone = sample_frames(tmp_path / "a.mp4", sampling)
    np.testing.assert_array_equal(done.columns["pixels"], alone.pixels)
    np.testing.assert_array_equal(done.columns["timestamps_seconds"], alone.timestamps_seconds)
    hashed = sample_frames(tmp_path / "a.mp4", hash_sampling(6)).pixels
    np.testing.assert_array_equal(done.columns["picture_hashes"], hash_frames(hashed))
    large = sample_frames(tmp_path / "a.mp4", stills)
    np.testing.assert_array_equal(done.columns["still_seconds"], large.timestamps_seconds)
    moving = sample_frames(tmp_path / "a.mp4", motion)
    np.testing.assert_array_equal(done.columns["step_seconds"], moving.timestamps_seconds)
    np.testing.assert_array_equal(done.columns["steps"], measure_steps(moving))
    for content, pixels in zip(done.columns["stills"], large.pixels, strict=True):
        assert pixels.shape == (3, 90, 160)
        error = np.abs(decode_still(content).astype(int) - pixels)
        assert error.mean() < 5  # of 255: JPEG


def test_each_sampling_decides_the_identity_of_a_decoding():
    decoders = [
        ClipDecoder(FrameSampling(), StillSampling(), MotionSampling(), 8),
        ClipDecoder(FrameSampling(shrink=4), StillSampling(), MotionSampling(), 8),
        ClipDecoder(FrameSampling(), StillSampling(count=2), MotionSampling(), 8),
        ClipDecoder(FrameSampling(), StillSampling(), MotionSampling(longest_side=64), 8),
        ClipDecoder(FrameSampling(), StillSampling(), MotionSampling(), 9),
    ]
    identities = [decoder.identity() for decoder in decoders]
    assert all(identities.count(each) == 1 for each in identities)
    assert pickle.loads(pickle.dumps(decoders[0])) == decoders[0]
