"""The sound of a clip, decoded by ffmpeg."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from tiktok_virality.media.container import (
    DECODER_OPTIONS,
    MOST_SECONDS,
    ONLY_THE_FILE,
    choose_audio_stream,
    open_container,
)
from tiktok_virality.media.waveform import encode_pcm16, from_pcm16
from tiktok_virality.schema import SAMPLE_RATE_HZ, MediaError, StageError

NO_AUDIO_TRACK: Final = "no audio track"
UNKNOWN_SOUND: Final = "unknown audio codec"
NO_SOUND: Final = (NO_AUDIO_TRACK, UNKNOWN_SOUND)
"""Why a clip is without sound, and no worse for it."""
OPPOSITE: Final = 0.1
"""Channels are opposite where their sum is so much quieter than their difference."""
CLIP: Final = "file:clip"
"""Stands for the file in commands that ffmpeg-python makes: it takes no name outside of UTF-8."""
MOST_CPU_SECONDS: Final = 600
"""Of one ffmpeg, which ends itself then."""


def decode_audio(path: Path) -> np.ndarray:
    """Decode the sound of a clip, mixed down and resampled, from the moment the clip begins.

    A track that begins late is preceded by silence, and gaps in it are silent, so that times are
    those of the clip; what comes after `MOST_SECONDS` is left out. Where left and right are
    opposite, as where a plug was wired wrongly, their sum would be silence: then it is their
    difference. The ffmpeg program comes with the imageio-ffmpeg package; nothing else has to be
    installed.

    Args:
        path: Any media file.

    Returns:
        float32 [samples] in [-1, 1), mono at ``SAMPLE_RATE_HZ``; empty where the track is.

    Raises:
        MediaError: One of `NO_SOUND`, or ``"unreadable"`` with the last words of ffmpeg.
        StageError: The ffmpeg program cannot be started.
    """
    import ffmpeg

    index, channels = _choose_track(path)
    kept = min(channels, 2)
    track = ffmpeg.input(CLIP, vn=None, **ONLY_THE_FILE, **DECODER_OPTIONS)[str(index)]
    content = _run_ffmpeg(
        track,
        path,
        format="s16le",
        t=MOST_SECONDS,
        acodec="pcm_s16le",
        af="aresample=async=1:first_pts=0",
        ac=kept,
        ar=SAMPLE_RATE_HZ,
    )
    return _mix(from_pcm16(content).reshape(-1, kept))


def fingerprint_waveform(samples: np.ndarray) -> np.ndarray:
    """Return Chromaprint's raw fingerprint of a sound.

    Each number says how the energies of the twelve pitch classes rise and fall over 2.6 seconds,
    and there is one every eighth of a second; silence and steady tones repeat one number. See L.
    Lalinský, 2011, "How does Chromaprint work?".

    Args:
        samples: float32 [samples] in [-1, 1], mono at ``SAMPLE_RATE_HZ``.

    Returns:
        uint32 [N]; empty where the sound is shorter than about 3 seconds.

    Raises:
        MediaError: ``"unreadable"`` with the last words of ffmpeg.
        StageError: The ffmpeg program cannot be started.
    """
    content = _chromaprint(encode_pcm16(samples))
    return np.frombuffer(content, dtype="<u4").astype(np.uint32)


@cache
def can_fingerprint() -> bool:
    """Say whether ffmpeg was built with Chromaprint.

    Raises:
        StageError: The ffmpeg program cannot be started.
    """
    try:
        _chromaprint(bytes(2 * SAMPLE_RATE_HZ))
    except MediaError:
        return False
    return True


def _mix(channels: np.ndarray) -> np.ndarray:
    """Return one channel, [samples], of float32 [samples, 1 or 2]."""
    if channels.shape[1] == 1 or not len(channels):
        return channels[:, 0]
    left, right = channels.T
    together, apart = (left + right) / 2, (left - right) / 2
    loud, other = (float(np.square(each).mean()) for each in (together, apart))
    return apart if loud < OPPOSITE**2 * other else together


def _chromaprint(pcm16: bytes) -> bytes:
    import ffmpeg

    sound = ffmpeg.input(
        "pipe:", format="s16le", ac=1, ar=SAMPLE_RATE_HZ, protocol_whitelist="pipe"
    )
    return _run_ffmpeg(sound, Path("waveform"), pcm16, format="chromaprint", fp_format="raw")


def _run_ffmpeg(source: Any, path: Path, given: bytes | None = None, **options: str | int) -> bytes:
    """Return what ffmpeg makes of a source.

    Args:
        source: A stream of ffmpeg-python, of `CLIP` or of a pipe.
        path: Of the clip, or what stands for it in messages.
        given: What ffmpeg reads from its standard input.
        **options: Of the output.

    Raises:
        MediaError: ``"unreadable"`` with the last words of ffmpeg.
        StageError: The program cannot be started: no fault of the clip.
    """
    import imageio_ffmpeg

    bounds = ("-timelimit", str(MOST_CPU_SECONDS))
    quiet = ("-hide_banner", "-loglevel", "error", *(("-nostdin",) if given is None else ()))
    made = source.output("pipe:", **options).global_args(*quiet, *bounds)
    try:
        command = [
            f"file:{path.absolute()}" if word == CLIP else word
            for word in made.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe())
        ]
        done = subprocess.run(command, input=given or b"", capture_output=True, check=False)
    except (OSError, RuntimeError) as error:
        raise StageError(
            f"The ffmpeg program cannot be started: {error}. It comes with the package "
            "imageio-ffmpeg; where IMAGEIO_FFMPEG_EXE is set, it must name a program."
        ) from error
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise MediaError("unreadable", f"{path.name}: ffmpeg says: {words[-1]}")
    return done.stdout


def _choose_track(path: Path) -> tuple[int, int]:
    """Return the place of the audio stream to take, and how many channels it has.

    Raises:
        MediaError: One of `NO_SOUND`, or ``"unreadable"``: the file cannot be opened at all.
    """
    with open_container(path) as container:
        track = choose_audio_stream(container)
        if track is not None:
            return track.index, track.codec_context.layout.nb_channels
        if container.streams.audio:
            raise MediaError(UNKNOWN_SOUND, f"{path.name}: nothing here can decode its audio track")
    raise MediaError(NO_AUDIO_TRACK, f"{path.name} holds no audio track")


def peak_dbfs(samples: np.ndarray) -> float:
    """Return the loudest sample of float32 [samples] in decibels of full scale, at most 0."""
    peak = float(np.abs(samples).max(initial=0.0))
    return 20 * float(np.log10(peak)) if peak > 0 else float("-inf")
