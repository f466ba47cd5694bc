"""A pretrained sound tagger from an ONNX file, heard once around every token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tiktok_virality.models.sound_configs import TaggerParameters
from tiktok_virality.models.weights import Checkpoint, given_checkpoint
from tiktok_virality.schema import SAMPLE_RATE_HZ, MediaError, ProjectError, WeightsError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def find_tagger(parameters: TaggerParameters) -> Checkpoint:
    """Return the file of the tagger.

    Raises:
        WeightsError: There is none, it is no tagger, or it takes no windows of that length.
    """
    checkpoint = given_checkpoint(parameters.path, "sound.tagger.path")
    SoundTagger(parameters, checkpoint).try_out()
    return checkpoint


class SoundTagger:
    """Listens to the surroundings of each token, one at a time, so no result depends on another.

    Args:
        parameters: How the network is to be used.
        checkpoint: Its file.

    Raises:
        ProjectError: ONNX Runtime is not installed.
        WeightsError: The file is no ONNX network, hears no waveforms, or has no such output.
    """

    def __init__(self, parameters: TaggerParameters, checkpoint: Checkpoint) -> None:
        self._parameters = parameters
        self._session = _open(checkpoint)
        heard = self._session.get_inputs()[0]
        self._input = heard.name
        self._flat = len(heard.shape) == 1
        if len(heard.shape) > 2 or heard.type != "tensor(float)":
            raise WeightsError(
                f"{checkpoint.path} takes {heard.type} {heard.shape}; a tagger takes waveforms, "
                "tensor(float) [samples] or [1, samples]."
            )
        self._output = _output_name(self._session, parameters.output, checkpoint)

    def listen(self, samples: np.ndarray, token_seconds: float, tokens: int) -> np.ndarray:
        """Return what the network says around the middle of every token.

        Args:
            samples: float32 [samples], mono at 16 kHz.
            token_seconds: How long a token lasts.
            tokens: How many there are.

        Returns:
            float32 [tokens, D].

        Raises:
            MediaError: ``"untaggable sound"``: it says what is no number, or too large for one.
        """
        rate = self._parameters.sample_rate_hz
        width = round(self._parameters.window_seconds * rate)
        padded = np.pad(_resample(samples, rate), width)
        middles = (np.arange(tokens) + 0.5) * token_seconds * rate
        starts = np.rint(middles + width / 2).astype(int)  # in the padded sound
        return np.stack([self._hear(_window(padded, start, width)) for start in starts])

    def try_out(self) -> None:
        """Let the network hear silence.

        Raises:
            WeightsError: It takes no windows of the length that the parameters say.
        """
        width = round(self._parameters.window_seconds * self._parameters.sample_rate_hz)
        try:
            self._run(np.zeros(width, np.float32))
        except Exception as error:  # ONNX Runtime has a class of its own for each fault
            raise WeightsError(
                f"The tagger {self._parameters.path} takes no windows of window_seconds="
                f"{self._parameters.window_seconds} at {self._parameters.sample_rate_hz} Hz: "
                f"{error}"
            ) from error

    def _run(self, window: np.ndarray) -> np.ndarray:
        """Return what the network says of a window, [..., D]."""
        given = window if self._flat else window[None]
        said: Any = self._session.run([self._output], {self._input: given})[0]
        return np.asarray(said, np.float64)

    def _hear(self, window: np.ndarray) -> np.ndarray:
        mean = self._run(window)
        mean = mean.reshape(-1, mean.shape[-1] if mean.ndim else 1).mean(axis=0)
        if not (np.abs(mean) < np.finfo(np.float16).max).all():
            raise MediaError("untaggable sound", f"the tagger {self._parameters.path} says {mean}")
        return mean.astype(np.float32)


def _open(checkpoint: Checkpoint) -> InferenceSession:
    try:
        import onnxruntime
    except ImportError as error:
        raise ProjectError(
            "A sound tagger needs ONNX Runtime. "
            "Install it with: pip install 'tiktok_virality[tagger]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            checkpoint.path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime has a class of its own for each fault
        raise WeightsError(
            f"sound.tagger.path says {checkpoint.path}, and that is no ONNX network: {error}"
        ) from error


def _output_name(session: InferenceSession, wanted: str | None, checkpoint: Checkpoint) -> str:
    names: list[str] = [output.name for output in session.get_outputs()]
    if wanted is None:
        return names[0]
    if wanted not in names:
        raise WeightsError(
            f"sound.tagger.output says {wanted!r}; {checkpoint.path} has {', '.join(names)}."
        )
    return wanted


def _resample(samples: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the sound at another rate, float32."""
    if rate_hz == SAMPLE_RATE_HZ:
        return samples
    from scipy.signal import resample_poly

    common = np.gcd(rate_hz, SAMPLE_RATE_HZ)
    made = resample_poly(samples, rate_hz // common, SAMPLE_RATE_HZ // common)
    return np.asarray(made, dtype=np.float32)


def _window(padded: np.ndarray, start: int, width: int) -> np.ndarray:
    """Return [width] samples; what is past the end is silence."""
    part = padded[start : start + width]
    return np.pad(part, (0, width - len(part)))
