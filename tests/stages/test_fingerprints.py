from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.media.encoding import ffmpeg, h264, picture
from tests.stages.items import item_of
from tiktok_virality.execution import Done, Failed, StageItem
from tiktok_virality.stages.fingerprints import ClipFingerprinter, FingerprintSource

NOISE = ["-f", "lavfi", "-i", "anoisesrc=duration=5:amplitude=0.3:seed=1"]
HASHES = np.array([3, 5], np.uint64)


@dataclass(frozen=True)
class Decoded:
    def load(self) -> dict[str, np.ndarray]:
        return {"picture_hashes": HASHES}


def test_a_clip_gives_hashes_of_its_frames_and_of_its_sound_and_a_broken_one_fails_alone(tmp_path):
    ffmpeg(*picture(5), *NOISE, *h264(), "-c:a", "aac", tmp_path / "loud.mp4")
    ffmpeg(*picture(1), *h264(), tmp_path / "mute.mp4")
    (tmp_path / "broken.mp4").write_text("no video")
    items = [item_of(tmp_path / f"{name}.mp4") for name in ("loud", "mute", "broken")]
    loud, mute, broken = ClipFingerprinter(frames=2)(
        [
            StageItem(
                video_id=item.video_id,
                digest=item.digest,
                payload=FingerprintSource(video=item.payload, decoded=Decoded()),
            )
            for item in items
        ]
    )
    assert isinstance(loud, Done) and isinstance(mute, Done)
    np.testing.assert_array_equal(loud.columns["picture"], HASHES)
    assert loud.columns["sound"].dtype == np.uint32
    assert 10 < len(loud.columns["sound"]) < 40
    assert mute.columns["sound"].shape == (0,)
    assert isinstance(broken, Failed)


def test_the_number_of_frames_is_part_of_the_identity():
    assert ClipFingerprinter(frames=6).identity() != ClipFingerprinter(frames=7).identity()
