from __future__ import annotations

import pickle

import numpy as np

from tests.media.encoding import ffmpeg, h264, picture
from tests.stages.items import item_of
from tiktok_virality.execution import Done, Failed
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.stages.frames import FrameExtractor


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
