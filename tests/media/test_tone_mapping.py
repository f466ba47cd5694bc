"""High dynamic range is shown as a usual screen would show it."""

from __future__ import annotations

import numpy as np

from tests.media.encoding import ffmpeg
from tiktok_virality.media.frames import FrameSampling, sample_frames
from tiktok_virality.media.tone_mapping import BT2020, HLG, PQ, map_tones

ONE = FrameSampling(every_nth=1, max_frames=1)


def test_a_picture_in_high_range_looks_like_the_one_it_was_made_of(tmp_path):
    source = ["-f", "lavfi", "-i", "smptebars=size=144x256:rate=5:duration=1"]
    usual, high = tmp_path / "usual.mp4", tmp_path / "high.mp4"
    tags = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    plain = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
    ffmpeg(*source, "-vf", plain, "-c:v", "libx264", *tags, usual)
    there = (
        f"{plain},zscale=tin=bt709:pin=bt709:min=709:t=smpte2084:p=2020:m=2020_ncl:npl=203,"
        "format=yuv420p10le"
    )
    tags = ["-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", "smpte2084"]
    quiet = ["-c:v", "libx265", "-x265-params", "log-level=none", "-tag:v", "hvc1"]
    ffmpeg(*source, "-vf", there, *quiet, *tags, high)
    one, other = (sample_frames(path, ONE).pixels.astype(int) for path in (usual, high))
    assert np.abs(one - other).mean() < 12


def test_white_is_white_and_black_is_black():
    for transfer, signal in ((PQ, 0.58), (HLG, 0.75)):  # 203 candela, by BT.2408
        white = np.full((1, 1, 3), round(signal * 65_535), np.uint16)
        assert map_tones(white, transfer, BT2020).min() > 235
    black = np.zeros((1, 1, 3), np.uint16)
    for transfer in (PQ, HLG):
        assert map_tones(black, transfer, BT2020).max() == 0
    brightest = np.full((1, 1, 3), 65_535, np.uint16)
    assert map_tones(brightest, PQ, BT2020).min() == 255
