"""Small clips, made by the ffmpeg that the project brings along."""

from __future__ import annotations

import subprocess
from pathlib import Path

import imageio_ffmpeg


def ffmpeg(*arguments: str | Path) -> None:
    """Run ffmpeg; its words become the error when it fails."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-y"]
    result = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def picture(seconds: float = 2, size: str = "144x256", rate: int = 30) -> list[str]:
    """Return the input options of a moving test picture: every frame differs."""
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}"]


def tone(seconds: float = 2, volume: float = 0.5) -> list[str]:
    """Return the input options of a tone of 440 Hz; volume 0 is silence."""
    return ["-f", "lavfi", "-i", f"sine=frequency=440:duration={seconds},volume={8 * volume}"]


def h264(gop: int = 15, *more: str) -> list[str]:
    """Return the output options of H.264 with B-frames."""
    return ["-c:v", "libx264", "-g", str(gop), "-bf", "3", "-pix_fmt", "yuv420p", *more]


def hevc(parameters: str) -> list[str]:
    """Return the output options of HEVC, tagged as phones tag it."""
    return ["-c:v", "libx265", "-x265-params", f"log-level=none:{parameters}", "-tag:v", "hvc1"]


def with_codec_renamed(source: Path, path: Path, name: str, other: str) -> Path:
    """Write a copy of an mp4 file whose codec has four letters that nobody knows."""
    content = source.read_bytes()
    place = content.index(name.encode(), content.rindex(b"moov"))  # the index names the codecs
    described = content[place + 4 :]
    for box in (b"esds", b"avcC", b"dac3"):  # what describes a codec would give it away
        described = described.replace(box, b"free", 1)
    path.write_bytes(content[:place] + other.encode() + described)
    return path
