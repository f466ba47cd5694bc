"""Honest clips to begin with, small ones, of every kind that people have."""

from __future__ import annotations

from pathlib import Path

from tests.media.encoding import ffmpeg, h264, hevc, picture, tone

SMALL = {"seconds": 1.5, "size": "72x128", "rate": 10}
AAC = ["-c:a", "aac", "-b:a", "32k"]
SUBTITLE = "1\n00:00:00,000 --> 00:00:01,000\nhello\n"

RECIPES: dict[str, list[str]] = {
    "h264_sound.mp4": [*picture(**SMALL), *tone(1.5), *h264(5), *AAC],
    "h264_mute.mp4": [*picture(**SMALL), *h264(5)],
    "h264_fragments.mp4": [
        *(*picture(**SMALL), *tone(1.5), *h264(5), *AAC),
        *("-movflags", "frag_keyframe+empty_moov+default_base_moof"),
    ],
    "h264_turned.mov": [*picture(**SMALL), *tone(1.5), *h264(5), "-c:a", "pcm_s16le"],
    "hevc_sound.mp4": [*picture(**SMALL), *tone(1.5), *hevc("keyint=5:pools=none"), *AAC],
    "vp9_sound.webm": [
        *(*picture(**SMALL), *tone(1.5), "-c:v", "libvpx-vp9", "-deadline", "realtime"),
        *("-g", "5", "-c:a", "libopus", "-b:a", "32k"),
    ],
    "av1_mute.mp4": [*picture(**SMALL), "-c:v", "libsvtav1", "-preset", "12", "-g", "5"],
    "h264_sound.mkv": [*picture(**SMALL), *tone(1.5), *h264(5), "-c:a", "libvorbis"],
    "mpeg2_sound.m4v": [
        *(*picture(**SMALL | {"rate": 25}), *tone(1.5), "-c:v", "mpeg2video", "-c:a", "mp2"),
        *("-f", "mpegts"),
    ],
    "mpeg4_sound.mp4": [
        *(*picture(**SMALL), *tone(1.5), "-c:v", "mpeg4", "-c:a", "libmp3lame", "-f", "avi"),
    ],
}


def make_seeds(folder: Path) -> dict[str, bytes]:
    """Return the content of each seed, made in a folder unless it is there."""
    made = {}
    for name, recipe in RECIPES.items():
        path = folder / name
        if not path.exists():
            ffmpeg(*recipe, "-threads", "1", path)
        made[name] = path.read_bytes()
    return made
