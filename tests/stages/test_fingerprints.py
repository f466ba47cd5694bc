from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.media.encoding import ffmpeg, h264, picture
from tiktok_virality.execution import Done, Failed, StageItem
from tiktok_virality.media.audio import decode_audio
from tiktok_virality.schema import MediaError
from tiktok_virality.stages.fingerprints import ClipFingerprinter, FingerprintSource

NOISE = ["-f", "lavfi", "-i", "anoisesrc=duration=5:amplitude=0.3:seed=1"]
HASHES = np.array([3, 5], np.uint64)


@dataclass(frozen=True)
class Row:
    columns: dict[str, np.ndarray]

    def load(self) -> dict[str, np.ndarray]:
        return self.columns


class Unreadable:
    def load(self) -> dict[str, np.ndarray]:
        raise MediaError("unreadable", "it is no WAV file")


def test_a_clip_has_hashes_of_its_frames_and_a_fingerprint_of_its_sound_and_a_broken_one_fails(
    tmp_path,
):
    ffmpeg(*picture(5), *NOISE, *h264(), "-c:a", "aac", tmp_path / "loud.mp4")
    heard = Row({"samples": decode_audio(tmp_path / "loud.mp4")})
    seen = Row({"picture_hashes": HASHES})
    loud, mute, broken = ClipFingerprinter(frames=2)(
        [
            StageItem(
                video_id=name, digest=name, payload=FingerprintSource(picture=seen, sound=sound)
            )
            for name, sound in {"loud": heard, "mute": None, "broken": Unreadable()}.items()
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
