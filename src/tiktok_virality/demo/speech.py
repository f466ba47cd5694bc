"""Spoken words from eSpeak NG, through the library and voices that `espeakng_loader` carries."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Final

import numpy as np

from tiktok_virality.schema import ProjectError

SPEECH_RATE_HZ: Final = 22_050
PCM16_SCALE: Final = 32_768

# Of espeak-ng/speak_lib.h
AUDIO_OUTPUT_SYNCHRONOUS: Final = 2
INITIALIZE_DONT_EXIT: Final = 0x8000
PARAMETER_RATE: Final = 1
PARAMETER_PITCH: Final = 3
CHARACTERS_UTF8: Final = 1

_ReceiveSamples = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


def speak(text: str, *, voice: str, words_per_minute: int, pitch: int) -> np.ndarray:
    """Say a text.

    Args:
        text: English words.
        voice: A voice of eSpeak NG with an optional variant, such as ``"en-us+f2"``.
        words_per_minute: Nominal speed, 80 to 450.
        pitch: 0 to 100; 50 is the voice's own.

    Returns:
        float32 [samples] in [-1, 1) at ``SPEECH_RATE_HZ``; the same for the same arguments.

    Raises:
        ProjectError: eSpeak NG is not installed, or knows no such voice.
    """
    chunks: list[bytes] = []

    @_ReceiveSamples
    def receive(samples: ctypes.Array[ctypes.c_short], count: int, events: int) -> int:
        if count > 0:
            chunks.append(ctypes.string_at(samples, count * ctypes.sizeof(ctypes.c_short)))
        return 0

    with _fresh_library() as library:
        library.espeak_SetSynthCallback(receive)
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ProjectError(f"eSpeak NG has no voice {voice!r}.")
        library.espeak_SetParameter(PARAMETER_RATE, words_per_minute, 0)
        library.espeak_SetParameter(PARAMETER_PITCH, pitch, 0)
        content = text.encode()
        library.espeak_Synth(content, len(content) + 1, 0, 0, 0, CHARACTERS_UTF8, None, None)
    pcm = np.frombuffer(b"".join(chunks), dtype=np.int16)
    return pcm.astype(np.float32) / PCM16_SCALE


def require_espeak() -> ModuleType:
    """Return the package that carries eSpeak NG.

    Raises:
        ProjectError: It is not installed.
    """
    try:
        import espeakng_loader
    except ImportError as error:
        raise ProjectError(
            "The demo corpus needs eSpeak NG for its voices. "
            "Install it with: pip install 'tiktok_virality[demo]'"
        ) from error
    return espeakng_loader


@contextmanager
def _fresh_library() -> Iterator[ctypes.CDLL]:
    """Load the library for one utterance.

    Its wave generator keeps counters that no call resets, so a second utterance of the same text
    would differ a little. A library that is unloaded in between starts from the same state.
    """
    import _ctypes

    loader = require_espeak()
    library = ctypes.CDLL(loader.get_library_path())
    try:
        data_folder = str(loader.get_data_path()).encode()
        rate_hz = library.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, 0, data_folder, INITIALIZE_DONT_EXIT
        )
        if rate_hz != SPEECH_RATE_HZ:
            raise ProjectError(
                f"eSpeak NG does not start with its data in {loader.get_data_path()}"
            )
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        yield library
        library.espeak_Terminate()
    finally:
        _ctypes.dlclose(library._handle)
