"""How fast the sound of a clip is decoded, beside the ffmpeg command itself with its start-up.

Both decode every clip to 16 kHz mono PCM16 in memory, one after another. Usage:
    .venv/bin/python benchmarks/audio_extraction.py [--clips FOLDER] [--rounds 9]
where FOLDER may hold videos; clips of 5 to 30 s are rendered in any case.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from interleaved import measure, print_machine, print_table

from tiktok_virality.media.audio import decode_audio
from tiktok_virality.media.waveform import from_pcm16
from tiktok_virality.schema import SAMPLE_RATE_HZ, MediaError

RENDERED_SECONDS = (5, 10, 15, 20, 30)
VIDEO_SUFFIXES = (".mp4", ".flac")


def run_ffmpeg(path: Path) -> np.ndarray:
    """Decode with one ffmpeg command, as one would type it."""
    options = ["-vn", "-f", "s16le", "-acodec", "pcm_s16le", "-ac", "1", "-ar", f"{SAMPLE_RATE_HZ}"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-i", str(path)]
    done = subprocess.run([*command, *options, "pipe:"], capture_output=True, check=True)
    return from_pcm16(done.stdout)


def render(folder: Path, seconds: int) -> Path:
    """Encode a clip of noise, as phones do: portrait H.264 and stereo AAC at 44.1 kHz."""
    path = folder / f"{seconds}.mp4"
    picture = ["-f", "lavfi", "-i", f"testsrc2=size=720x1280:rate=30:duration={seconds}"]
    sound = ["-f", "lavfi", "-i", f"anoisesrc=sample_rate=44100:duration={seconds}:amplitude=0.3"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-ac", "2"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", *picture, *sound]
    subprocess.run([*command, *codecs, str(path)], check=True)
    return path


def main() -> int:
    """Print the table; fail where samples differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=Path, default=None, help="videos beside the rendered ones")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = [render(Path(folder), seconds) for seconds in RENDERED_SECONDS]
        paths += [path for path in _videos(arguments.clips) if _has_sound(path)]
        differ = [p.name for p in paths if not np.array_equal(decode_audio(p), run_ffmpeg(p))]
        print(f"{len(paths)} clips: {', '.join(path.name for path in paths)}")
        print_machine()
        times = measure(
            {
                "ffmpeg command": lambda: [run_ffmpeg(path) for path in paths],
                "ours": lambda: [decode_audio(path) for path in paths],
            },
            arguments.rounds,
        )
        print_table(times, "ours", clips=len(paths))
    print(f"clips whose samples differ: {', '.join(differ) or 'none'}")
    return int(bool(differ))


def _videos(folder: Path | None) -> list[Path]:
    return (
        [] if folder is None else sorted(p for p in folder.iterdir() if p.suffix in VIDEO_SUFFIXES)
    )


def _has_sound(path: Path) -> bool:
    try:
        return len(decode_audio(path)) > 0
    except MediaError:
        return False


if __name__ == "__main__":
    sys.exit(main())
