"""Everything before the models: one decoding of a clip beside one for each thing taken of it.

    .venv/bin/python benchmarks/one_decoding.py --clips FOLDER [--rounds 5]

What is taken: small frames, stills, motion, hashes of the picture, the waveform, and a fingerprint
of it. *Apart*, each is a stage of its own that opens the file and decodes what it needs, as
sparsely as it can, as they did before they shared; *together*, the picture is decoded once and the
sound once. Clips are the real ones of a folder, and thirty seconds of 1080 x 1920 HEVC, rendered
from the longest of them. One process, base settings; results are compared before anything counts.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
from interleaved import measure, print_machine, print_table

from tiktok_virality.execution import Done, StageItem
from tiktok_virality.media.audio import decode_audio, fingerprint_waveform
from tiktok_virality.media.clip import EncodedVideo
from tiktok_virality.media.frames import FrameSampling
from tiktok_virality.media.motion import MotionSampling
from tiktok_virality.media.probe import probe_video
from tiktok_virality.media.stills import StillSampling
from tiktok_virality.schema import MediaError
from tiktok_virality.stages.frames import COLUMNS, ClipDecoder

SECONDS, HEIGHT, WIDTH = 30, 1920, 1080
GOAL = 0.6
DECODER = ClipDecoder(
    FrameSampling(every_nth=10, shrink=16, max_frames=32),
    StillSampling(),
    MotionSampling(),
    hashed=16,
)
APART = [DECODER.only([cut]) for cut in COLUMNS]


def main() -> None:
    """Print a table for the real clips, and one for the rendered one."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--clips", type=Path, required=True, help="a folder of mp4 files")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    clips = sorted(options.clips.glob("*.mp4"))
    if not clips:
        raise SystemExit(f"No mp4 file in {options.clips}.")
    print_machine()
    with tempfile.TemporaryDirectory() as folder:
        large = render(
            max(clips, key=lambda path: probe_video(path).duration_seconds), Path(folder)
        )
        compare(f"{len(clips)} real clips", clips, options.rounds)
        compare(f"{SECONDS} s of {WIDTH} x {HEIGHT}, HEVC", [large], options.rounds)


def render(film: Path, folder: Path) -> Path:
    """Return a portrait clip made of a film, as phones record and apps encode it."""
    path = folder / "large.mp4"
    fill = f"scale={WIDTH}:{HEIGHT}:force_original_aspect_ratio=increase,crop={WIDTH}:{HEIGHT}"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-v",
        "error",
        "-stream_loop",
        "-1",
        "-i",
        str(film),
    ]
    command += ["-t", str(SECONDS), "-vf", f"{fill},fps=30", "-c:v", "libx265", "-preset", "fast"]
    command += ["-x265-params", "log-level=error", "-tag:v", "hvc1", "-c:a", "aac", str(path)]
    subprocess.run(command, check=True)
    return path


def compare(what: str, clips: Sequence[Path], rounds: int) -> None:
    """Print what both ways take for some clips."""
    for clip in clips:
        _check_same(together(clip), apart(clip))
    print(f"\n## {what}\n")
    peers = {
        "together": lambda: [together(clip) for clip in clips],
        "apart": lambda: [apart(clip) for clip in clips],
    }
    times = measure(peers, rounds)
    print_table(times, "together", clips=len(clips))
    shares = [one / other for one, other in zip(times["together"], times["apart"], strict=True)]
    print(f"\ntogether takes {np.median(shares):.2f} of apart; the goal is at most {GOAL}")


def together(clip: Path) -> dict[str, Any]:
    """Take everything from one decoding of the picture and one of the sound."""
    sound = _sound(clip)
    return {**_decoded(DECODER, clip), "samples": sound, "print": fingerprint_waveform(sound)}


def apart(clip: Path) -> dict[str, Any]:
    """Take each thing by opening the file anew."""
    columns = {name: value for each in APART for name, value in _decoded(each, clip).items()}
    return {**columns, "samples": _sound(clip), "print": fingerprint_waveform(_sound(clip))}


def _decoded(decoder: ClipDecoder, clip: Path) -> Mapping[str, Any]:
    video = EncodedVideo(video_id=clip.stem, path=clip, size_bytes=0, modified_ns=0)
    [outcome] = decoder([StageItem(video_id=clip.stem, digest="", payload=video)])
    if not isinstance(outcome, Done):
        raise SystemExit(f"{clip.name}: {outcome}")
    return outcome.columns


def _sound(clip: Path) -> np.ndarray:
    try:
        return decode_audio(clip)
    except MediaError:
        return np.zeros(0, np.float32)


def _check_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    for name, value in one.items():
        same = (
            value == other[name] if isinstance(value, list) else np.array_equal(value, other[name])
        )
        if not same:
            raise SystemExit(f"{name} differs")


if __name__ == "__main__":
    main()
