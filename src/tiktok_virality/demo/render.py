"""One planned clip as an mp4 file, by ffmpeg."""

from __future__ import annotations

import wave
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from tiktok_virality.demo.clip_plan import ClipPlan, Codec
from tiktok_virality.demo.label import write_label
from tiktok_virality.demo.scenes import CANVAS_HEIGHT, CANVAS_WIDTH, draw_frames
from tiktok_virality.demo.sound import draw_sound
from tiktok_virality.demo.speech import SPEECH_RATE_HZ
from tiktok_virality.schema import MediaError

AUDIO_RATE_HZ: Final = 44_100
PCM16_PEAK: Final = 32_767

# One thread per encoder: a stage runs one process per core, and the bytes do not depend on cores.
VIDEO_OPTIONS: Final[dict[Codec, dict[str, Any]]] = {
    "h264": {"vcodec": "libx264", "preset": "veryfast", "crf": 23, "threads": 1},
    "hevc": {
        "vcodec": "libx265",
        "preset": "ultrafast",
        "crf": 25,
        "tag:v": "hvc1",
        "x265-params": "pools=none:frame-threads=1:log-level=error",
    },
}


def render_clip(plan: ClipPlan) -> bytes:
    """Draw, speak and encode one clip.

    Returns:
        The content of an mp4 file: H.264 or HEVC, and AAC where the plan has sound.

    Raises:
        MediaError: ``"not rendered"``: ffmpeg failed, with its last words; or
            ``"speech too long"``.
    """
    with TemporaryDirectory(prefix="clip-") as name:
        folder = Path(name)
        write_label(plan, folder / "label.png")
        sound = draw_sound(plan)
        if sound is not None:
            _write_wav(folder / "sound.wav", sound)
        command = _command(plan, folder, has_sound=sound is not None)
        _encode(command, draw_frames(plan), folder / "ffmpeg.log")
        return (folder / "clip.mp4").read_bytes()


def _command(plan: ClipPlan, folder: Path, *, has_sound: bool) -> list[str]:
    import ffmpeg
    import imageio_ffmpeg

    canvas = ffmpeg.input(
        "pipe:",
        format="rawvideo",
        pix_fmt="rgb24",
        s=f"{CANVAS_WIDTH}x{CANVAS_HEIGHT}",
        framerate=plan.fps,
        protocol_whitelist="pipe",
    )
    picture = canvas.filter("scale", plan.width, plan.height, flags="bicubic")
    picture = picture.overlay(_own(folder / "label.png"))
    streams = [picture]
    options = {**VIDEO_OPTIONS[plan.codec], "g": plan.gop_frames, "pix_fmt": "yuv420p"}
    if has_sound:
        streams.append(_own(folder / "sound.wav").audio)
        options |= {"acodec": "aac", "audio_bitrate": "96k", "ar": AUDIO_RATE_HZ}
    output = ffmpeg.output(*streams, str(folder / "clip.mp4"), movflags="+faststart", **options)
    quiet = output.global_args("-hide_banner", "-loglevel", "error", "-filter_threads", "1")
    return quiet.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())


def _own(path: Path) -> Any:
    """Return a file that was written here as an input of ffmpeg, which opens nothing else."""
    import ffmpeg

    return ffmpeg.input(str(path), protocol_whitelist="file")


def _encode(command: list[str], frames: Iterable[np.ndarray], log: Path) -> None:
    """Feed frames to ffmpeg; its words go to a file, which cannot fill up as a pipe can.

    Raises:
        MediaError: It did not end well.
    """
    with (
        log.open("wb") as words,
        Popen(command, stdin=PIPE, stderr=words) as ffmpeg,
    ):
        assert ffmpeg.stdin is not None
        with suppress(BrokenPipeError), ffmpeg.stdin as pipe:
            for frame in frames:
                pipe.write(frame.tobytes())
    if ffmpeg.returncode != 0:
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise MediaError("not rendered", f"ffmpeg says: {last[0]}")


def _write_wav(path: Path, samples: np.ndarray) -> None:
    pcm = np.rint(samples.clip(-1, 1) * PCM16_PEAK).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SPEECH_RATE_HZ)
        file.writeframes(pcm.tobytes())
