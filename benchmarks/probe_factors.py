"""What is seen and heard in a piece, measured with tools that the project itself does not use."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

VISUAL = (
    *("brightness", "contrast", "saturation", "colourfulness", "warmth", "edges", "blur", "faces"),
    *("words", "motion", "shake", "cuts", "course"),
)
SOUND = ("loudness", "centroid", "bass", "dynamics", "speech", "onsets")
HEIGHT_OF_FLOW, FRAMES_LOOKED_AT, FRAMES_FOR_FACES = 128, 16, 5
SPEECH_RATE_HZ = 16_000
QUIETEST_LUFS = -70.0


def measure(path: Path, words: float) -> dict[str, float]:
    """Return all factors of a piece; those of sound are NaN where there is none.

    Args:
        path: An mp4 file.
        words: Share of picture and time behind words, as the maker of the piece knows it.
    """
    frames, fps = _frames(path)
    looked_at = frames[np.linspace(0, len(frames) - 1, FRAMES_LOOKED_AT).round().astype(int)]
    found = {**_look(looked_at), **_movement(frames, fps), "words": words**0.5}
    found["faces"] = _faces(looked_at[:: FRAMES_LOOKED_AT // FRAMES_FOR_FACES])
    sound = _samples(path)
    heard = dict.fromkeys(SOUND, np.nan) if sound is None else _listen(*sound)
    return {name: float({**found, **heard}[name]) for name in (*VISUAL, *SOUND)}


def _frames(path: Path) -> tuple[np.ndarray, float]:
    """Return uint8 [T, H, W, 3] and frames per second."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return np.stack(frames), float(stream.average_rate or 25)


def _look(frames: np.ndarray) -> dict[str, float]:
    """Colour, light and detail, each the mean over frames."""
    rows: list[dict[str, float]] = []
    for frame in frames:
        grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        red, green, blue = (frame[..., k].astype(np.float32) for k in range(3))
        yellow = (red + green) / 2 - blue
        # Hasler and Suesstrunk 2003, Measuring colourfulness in natural images.
        spread = np.hypot((red - green).std(), yellow.std())
        distance = np.hypot((red - green).mean(), yellow.mean())
        rows.append(
            {
                "brightness": grey.mean(),
                "contrast": grey.std(),
                "saturation": cv2.cvtColor(frame, cv2.COLOR_RGB2HSV)[..., 1].mean(),
                "colourfulness": spread + 0.3 * distance,
                "warmth": red.mean() - blue.mean(),
                "edges": (cv2.Canny(grey, 100, 200) > 0).mean() ** 0.5,
                "blur": -np.log(cv2.Laplacian(grey, cv2.CV_64F).var() + 1),
            }
        )
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    third = max(1, len(rows) // 3)
    light = [row["brightness"] for row in rows]
    return means | {"course": float(np.mean(light[-third:]) - np.mean(light[:third]))}


def _movement(frames: np.ndarray, fps: float) -> dict[str, float]:
    """Cuts per second by colour histograms; optical flow of about 10 frames a second between."""
    step = max(1, round(fps / 10))
    scale = HEIGHT_OF_FLOW / max(frames.shape[1:3])
    small = [cv2.resize(f, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) for f in frames]
    colours = [_histogram(picture) for picture in small]
    far = np.array([np.abs(b - a).sum() / 2 for a, b in pairwise(colours)])
    cut = np.flatnonzero((far > 0.3) & (far > 3 * np.median(far)))
    greys = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in small]
    speeds, whole = [], []
    for first in range(0, len(greys) - step, step):
        if not ((cut >= first) & (cut < first + step)).any():
            flow = cv2.calcOpticalFlowFarneback(
                greys[first], greys[first + step], None, 0.5, 3, 15, 3, 5, 1.2, 0
            )
            speeds.append(np.linalg.norm(flow, axis=-1).mean())
            whole.append(np.median(flow.reshape(-1, 2), axis=0))
    jerks = np.linalg.norm(np.diff(whole, axis=0), axis=1) if len(whole) > 1 else np.zeros(1)
    return {
        "cuts": float(np.sqrt(len(cut) / (len(frames) / fps))),
        "motion": float(np.log(np.mean(speeds or [0]) + 0.05)),
        "shake": float(np.log(np.median(jerks) + 0.02)),
    }


def _histogram(picture: np.ndarray) -> np.ndarray:
    counts = cv2.calcHist([picture], [0, 1, 2], None, [6, 6, 6], [0, 256] * 3)
    return counts.ravel() / counts.sum()


def _faces(frames: np.ndarray) -> float:
    """Return the square root of the faces per frame, by a cascade of local binary patterns."""
    cascade, counts = _cascade(), []
    for frame in frames:
        scale = 256 / max(frame.shape[:2])
        small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        boxes = cascade.detect_multi_scale(
            img=small, scale_factor=1.2, step_ratio=1, min_size=(24, 24), max_size=(160, 160)
        )
        counts.append(len(boxes))
    return float(np.sqrt(np.mean(counts)))


@cache
def _cascade() -> Any:
    from skimage import data
    from skimage.feature import Cascade

    return Cascade(data.lbp_frontal_face_cascade_filename())


def _samples(path: Path) -> tuple[np.ndarray, int] | None:
    """Return float32 [samples] and their rate; ``None`` where there is no track."""
    with av.open(str(path)) as container:
        if not container.streams.audio:
            return None
        track = container.streams.audio[0]
        parts = [frame.to_ndarray().mean(0) for frame in container.decode(track)]
        return np.concatenate(parts).astype(np.float32), track.rate


def _listen(samples: np.ndarray, rate: int) -> dict[str, float]:
    import librosa
    import pyloudnorm

    power = np.abs(librosa.stft(samples, n_fft=2048, hop_length=512)) ** 2 + 1e-12
    hertz = librosa.fft_frequencies(sr=rate, n_fft=2048)
    centroids = librosa.feature.spectral_centroid(S=power**0.5, freq=hertz)[0]
    loud = 10 * np.log10(power.sum(0) / power.sum(0).max() + 1e-6)
    onsets = librosa.onset.onset_detect(y=samples, sr=rate, units="time")
    lufs = pyloudnorm.Meter(rate).integrated_loudness(samples.astype(np.float64))
    return {
        "loudness": max(QUIETEST_LUFS, lufs),
        "centroid": float(np.log(np.mean(centroids) + 50)),
        "bass": float(power[hertz < 250].sum() / (power.sum() + 1e-9)) ** 0.5,
        "dynamics": float(np.percentile(loud, 95) - np.percentile(loud, 10)),
        "speech": _speech(librosa.resample(samples, orig_sr=rate, target_sr=SPEECH_RATE_HZ)),
        "onsets": len(onsets) / (len(samples) / rate),
    }


def _speech(samples: np.ndarray) -> float:
    """Return the share of time with speech, by Silero's detector."""
    import torch
    from silero_vad import get_speech_timestamps

    spans = get_speech_timestamps(torch.from_numpy(samples), _detector())
    return sum(span["end"] - span["start"] for span in spans) / len(samples)


@cache
def _detector() -> Any:
    import torch
    from silero_vad import load_silero_vad

    torch.set_num_threads(1)
    return load_silero_vad()
