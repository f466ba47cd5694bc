"""Waveforms as WAV files: 16 kHz mono PCM16 on disk, float32 in [-1, 1] in memory."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

from tiktok_virality.schema import SAMPLE_RATE_HZ, MediaError

PCM16_SCALE = 32_768
PCM16_BYTES = 2


def from_pcm16(content: bytes) -> np.ndarray:
    """Return little-endian PCM16 as float32 [samples] in [-1, 1)."""
    samples = np.frombuffer(content, dtype="<i2").astype(np.float32)
    samples /= PCM16_SCALE
    return samples


def encode_pcm16(samples: np.ndarray) -> bytes:
    """Return float32 [samples] in [-1, 1] as little-endian PCM16; what lies outside is clipped."""
    scaled = np.rint(np.asarray(samples, dtype=np.float64) * PCM16_SCALE)
    return scaled.clip(-PCM16_SCALE, PCM16_SCALE - 1).astype("<i2").tobytes()


def encode_wav(samples: np.ndarray) -> bytes:
    """Return float32 [samples] in [-1, 1] as a WAV file; what lies outside is clipped.

    Raises:
        ValueError: ``samples`` has more than one dimension.
    """
    if samples.ndim != 1:
        raise ValueError(f"A waveform is mono, [samples]; this one has shape {samples.shape}.")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(PCM16_BYTES)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(encode_pcm16(samples))
    return buffer.getvalue()


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Write float32 [samples] in [-1, 1] as a WAV file."""
    path.write_bytes(encode_wav(samples))


def read_wav(path: Path) -> np.ndarray:
    """Read a WAV file of ours into float32 [samples] in [-1, 1).

    Raises:
        MediaError: ``"unreadable"``: it is no WAV file, or not 16 kHz mono PCM16.
    """
    return decode_wav(path.read_bytes(), path.name)


def decode_wav(content: bytes, name: str) -> np.ndarray:
    """Return the samples of a WAV file of ours, float32 [samples] in [-1, 1).

    Args:
        content: Of the file.
        name: Of the file, for messages.

    Raises:
        MediaError: ``"unreadable"``: it is no WAV file, or not 16 kHz mono PCM16.
    """
    try:
        with wave.open(io.BytesIO(content), "rb") as file:
            form = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise MediaError("unreadable", f"{name}: {error}") from error
    if form != (SAMPLE_RATE_HZ, 1, PCM16_BYTES):
        raise MediaError(
            "unreadable",
            f"{name} holds {form[0]} Hz, {form[1]} channels, {8 * form[2]} bits; a waveform "
            f"has {SAMPLE_RATE_HZ} Hz, 1 channel, {8 * PCM16_BYTES} bits",
        )
    return from_pcm16(frames)
