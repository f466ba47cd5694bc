"""The sound of a clip, decoded by ffmpeg."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tiktok_virality.media.container import open_container
from tiktok_virality.media.waveform import from_pcm16
from tiktok_virality.schema import SAMPLE_RATE_HZ, MediaError

NO_AUDIO_TRACK = "no audio track"


def decode_audio(path: Path) -> np.ndarray:
    """Decode the audio track of a clip, mixed down and resampled.

    The ffmpeg program comes with the imageio-ffmpeg package; nothing else has to be installed.

    Args:
        path: Any media file.

    Returns:
        float32 [samples] in [-1, 1), mono at ``SAMPLE_RATE_HZ``; empty where the track is.

    Raises:
        MediaError: ``"no audio track"``, or ``"unreadable"`` with the last words of ffmpeg.
    """
    content = _run_ffmpeg(path, format="s16le", acodec="pcm_s16le", ac=1, ar=SAMPLE_RATE_HZ)
    return from_pcm16(content)


def fingerprint_audio(path: Path) -> np.ndarray:
    """Return Chromaprint's raw fingerprint of the audio track of a clip.

    Each number says how the energies of the twelve pitch classes rise and fall over 2.6 seconds,
    and there is one every eighth of a second; silence and steady tones repeat one number. See L.
    Lalinský, 2011, "How does Chromaprint work?".

    Args:
        path: Any media file.

    Returns:
        uint32 [N]; empty where the track is shorter than about 3 seconds.

    Raises:
        MediaError: ``"no audio track"``, or ``"unreadable"`` with the last words of ffmpeg.
    """
    content = _run_ffmpeg(path, format="chromaprint", fp_format="raw", ac=1, ar=SAMPLE_RATE_HZ)
    return np.frombuffer(content, dtype="<u4").astype(np.uint32)


def _run_ffmpeg(path: Path, **options: str | int) -> bytes:
    """Return what ffmpeg makes of the audio track of a clip.

    Raises:
        MediaError: ``"no audio track"``, or ``"unreadable"`` with the last words of ffmpeg.
    """
    import ffmpeg
    import imageio_ffmpeg

    command = ffmpeg.input(f"file:{path.absolute()}", vn=None).output("pipe:", **options)
    quiet = command.global_args("-hide_banner", "-loglevel", "error", "-nostdin")
    try:
        content: bytes = quiet.run(
            cmd=imageio_ffmpeg.get_ffmpeg_exe(), capture_stdout=True, capture_stderr=True
        )[0]
    except ffmpeg.Error as error:
        _check_has_audio(path)
        words = error.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise MediaError("unreadable", f"{path.name}: ffmpeg says: {words[-1]}") from error
    return content


def _check_has_audio(path: Path) -> None:
    """Tell a clip without a track from a broken one.

    Raises:
        MediaError: ``"no audio track"``, or ``"unreadable"``: the file cannot be opened at all.
    """
    with open_container(path) as container:
        if not container.streams.audio:
            raise MediaError(NO_AUDIO_TRACK, f"{path.name} holds no audio track")


def peak_dbfs(samples: np.ndarray) -> float:
    """Return the loudest sample of float32 [samples] in decibels of full scale, at most 0."""
    peak = float(np.abs(samples).max(initial=0.0))
    return 20 * float(np.log10(peak)) if peak > 0 else float("-inf")
