"""One piece of a real film, or of photographs that a camera moves over, with sound, as an mp4."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from probe_material import Source
from scipy.stats import norm

from tiktok_virality.demo.clip_plan import VOICES
from tiktok_virality.demo.scripts import THEMES
from tiktok_virality.demo.speech import SPEECH_RATE_HZ, speak

RATE_HZ = 32_000
SIZES = ((288, 512), (288, 512), (360, 640), (288, 360), (512, 288))
SECONDS = (4.0, 6.0)
TRAITS = (
    *("gain", "contrast", "saturation", "warmth", "course", "blur", "shake", "cuts", "pan", "zoom"),
    *("words", "size", "loudness", "tilt", "speech", "voice", "beats", "swell"),
)
SHARE_OF_SOURCE = 0.5
"""Of the variance of every trait: makers have their ways, and differ from piece to piece."""

SENTENCES = [sentence for theme in THEMES.values() for sentence in theme]
LONGEST_SIDE = 900
Picture = np.ndarray
Shot = Callable[[float], Picture]


@dataclass(frozen=True)
class Piece:
    """What decides one piece; its traits are normal deviates.

    Attributes:
        name: Its id.
        source: Where its material is from.
        seed: Of everything drawn for this piece.
        traits: By name, of `TRAITS`.
    """

    name: str
    source: Source
    seed: int
    traits: dict[str, float]


def plan_pieces(sources: list[Source], count: int, seed: int) -> list[Piece]:
    """Draw pieces, as many from one source as from another."""
    rng = np.random.default_rng(seed)
    ways = rng.normal(size=(len(sources), len(TRAITS))) * SHARE_OF_SOURCE**0.5
    pieces = []
    for number in range(count):
        of = number % len(sources)
        drawn = ways[of] + rng.normal(size=len(TRAITS)) * (1 - SHARE_OF_SOURCE) ** 0.5
        traits = dict(zip(TRAITS, drawn.tolist(), strict=True))
        pieces.append(Piece(f"piece{number:04d}", sources[of], int(rng.integers(2**31)), traits))
    return pieces


def render(piece: Piece, folder: Path) -> dict[str, Any]:
    """Write ``NAME.mp4``, and return what only its maker knows.

    Returns:
        ``words``: the share of the picture, over all frames, that lies behind words laid over it.
    """
    rng = np.random.default_rng(piece.seed)
    width, height = SIZES[int(rng.integers(len(SIZES)))]
    seconds, fps = float(rng.uniform(*SECONDS)), int(rng.choice((15, 24, 25, 30)))
    times = np.arange(round(seconds * fps)) / fps
    frames = _draw(piece.traits, _shots(piece, seconds, rng), times, (width, height), rng)
    label, first, last, share = _words(piece.traits, (width, height), rng)
    for number, frame in enumerate(frames):
        if first <= number / len(frames) < last:
            opaque = label[..., 3:].astype(np.float32) / 255
            frames[number] = (frame * (1 - opaque) + label[..., :3] * opaque).astype(np.uint8)
    sound = None if rng.random() < 0.03 else _sound(piece, seconds, rng)
    _encode(folder / f"{piece.name}.mp4", frames, fps, sound)
    return {"words": share * (last - first)}


def _shots(piece: Piece, seconds: float, rng: np.random.Generator) -> list[tuple[float, Shot]]:
    """Return shots and when they begin."""
    per_second = np.exp(-1.6 + 1.0 * piece.traits["cuts"])
    count = min(12, int(rng.poisson(per_second * seconds)))
    begins = [0.0, *sorted(rng.uniform(0.3, seconds - 0.3, count))]
    if piece.source.films:
        film = piece.source.films[int(rng.integers(len(piece.source.films)))]
        return _film_shots(_read_film(film), begins, seconds, rng)
    order = rng.permutation(len(piece.source.photographs))
    pictures = [_read_photograph(piece.source.photographs[i]) for i in order]
    return [(t, _still(pictures[n % len(pictures)])) for n, t in enumerate(begins)]


def _still(picture: Picture) -> Shot:
    return lambda _: picture


def _film_shots(
    film: tuple[np.ndarray, float], begins: list[float], seconds: float, rng: np.random.Generator
) -> list[tuple[float, Shot]]:
    frames, fps = film
    shots: list[tuple[float, Shot]] = []
    for begin in begins:
        start = float(rng.uniform(0, max(0.0, len(frames) / fps - seconds)))

        def shot(t: float, start: float = start, begin: float = begin) -> Picture:
            return frames[int((start + t - begin) * fps) % len(frames)]

        shots.append((begin, shot))
    return shots


@lru_cache(maxsize=2)
def _read_film(path: Path) -> tuple[np.ndarray, float]:
    """Return at most 20 s, uint8 [T, H, W, 3] of at most 480 pixels, and frames per second."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        fps, frames = float(stream.average_rate or 25), []
        for frame in container.decode(stream):
            scale = min(1.0, 480 / max(frame.width, frame.height))
            size = (round(frame.width * scale), round(frame.height * scale))
            frames.append(frame.to_ndarray(width=size[0], height=size[1], format="rgb24"))
            if len(frames) >= 20 * fps:
                break
    return np.stack(frames), fps


@lru_cache(maxsize=8)
def _read_photograph(path: Path) -> Picture:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as picture:
            picture.draft("RGB", (LONGEST_SIDE, LONGEST_SIDE))
            picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
            return np.asarray(picture.convert("RGB"))


def _draw(
    traits: dict[str, float],
    shots: list[tuple[float, Shot]],
    times: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
) -> list[Picture]:
    """Move the camera over each shot, and grade each frame."""
    moves = [rng.normal(size=5) for _ in shots]
    hand = _hand(traits["shake"], len(times), rng)
    course = 0.5 * traits["course"] * (rng.random() < 0.6)
    shape = rng.choice(("ramp", "fade in", "fade out"), p=(0.6, 0.2, 0.2))
    frames = []
    for number, t in enumerate(times):
        place = max(n for n, (begin, _) in enumerate(shots) if begin <= t)
        begin, shot = shots[place]
        share = t / times[-1]
        frame = _look(shot(t), traits, moves[place], t - begin, hand[number], size)
        edge = {
            "ramp": 1.0,
            "fade in": min(1, 0.1 + share * 4),
            "fade out": min(1, 4.1 - share * 4),
        }
        frames.append(_grade(frame, traits, course * (share - 0.5), float(edge[str(shape)])))
    return frames


def _hand(trait: float, count: int, rng: np.random.Generator) -> np.ndarray:
    """How far a hand trembles, in shares of the picture, [T, 2]."""
    noise = rng.normal(size=(count + 20, 2))
    smooth = np.stack([np.convolve(noise[:, k], np.hanning(7) / 3, "same") for k in (0, 1)], 1)
    return 0.003 * np.exp(1.0 * trait) * smooth[10 : 10 + count]


def _look(
    picture: Picture,
    traits: dict[str, float],
    move: np.ndarray,
    t: float,
    hand: np.ndarray,
    size: tuple[int, int],
) -> Picture:
    """Cut out what the camera sees, float [2, 3] from picture to frame, cv2's way."""
    width, height = size
    rows, columns = picture.shape[:2]
    fit = max(width / columns, height / rows)
    zoom = 1.1 + 0.3 * abs(move[2]) + 0.06 * traits["zoom"] * t
    scale = fit * max(1.0, zoom)
    pan = 0.03 * np.exp(0.9 * traits["pan"]) * t
    turn = 2 * np.pi * move[3]
    centre_x = columns * (0.5 + 0.08 * move[0]) + pan * np.cos(turn) * width / scale
    centre_y = rows * (0.5 + 0.08 * move[1]) + pan * np.sin(turn) * height / scale
    half_x, half_y = width / scale / 2, height / scale / 2
    centre_x = np.clip(centre_x, half_x, max(half_x, columns - half_x)) + hand[0] * width / scale
    centre_y = np.clip(centre_y, half_y, max(half_y, rows - half_y)) + hand[1] * height / scale
    matrix = np.array([[scale, 0, width / 2 - scale * centre_x],
                       [0, scale, height / 2 - scale * centre_y]])  # fmt: skip
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    seen = cv2.warpAffine(picture, matrix, size, flags=how, borderMode=cv2.BORDER_REFLECT)
    sigma = max(0.0, 1.3 * traits["blur"])
    return cv2.GaussianBlur(seen, (0, 0), sigma) if sigma > 0.3 else seen


def _grade(frame: Picture, traits: dict[str, float], stops: float, fade: float) -> Picture:
    saturation = np.exp(0.5 * traits["saturation"]) * (traits["saturation"] > -1.6)
    grey = np.full((3, 3), 1 / 3)
    mixed = cv2.transform(frame, grey + saturation * (np.eye(3) - grey))
    levels = np.arange(256) / 255
    warm = 0.12 * traits["warmth"]
    tables = []
    for tint in (1 + warm, 1.0, 1 - warm):
        bright = levels * 2 ** (0.55 * traits["gain"] + stops) * tint
        curve = 0.45 + (bright - 0.45) * np.exp(0.3 * traits["contrast"])
        tables.append(np.clip(curve, 0, 1) * fade * 255)
    return cv2.LUT(mixed, np.stack(tables, 1)[None].astype(np.uint8))


def _words(
    traits: dict[str, float], size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, float, float, float]:
    """Return an RGBA label, the shares of time when it comes and goes, and its share of space."""
    width, height = size
    label = Image.new("RGBA", size)
    if traits["words"] < -0.2:
        return np.asarray(label), 0.0, 0.0, 0.0
    draw = ImageDraw.Draw(label)
    font = _font(round(min(size) * 0.07 * np.exp(0.35 * traits["size"])))
    text = _wrapped(draw, " ".join(rng.choice(SENTENCES, int(rng.integers(1, 4)))), font, width)
    y = float(rng.uniform(0.05, 0.6)) * height
    box = draw.multiline_textbbox((width / 2, y), text, font, "ma", align="center", stroke_width=2)
    fill, edge = [
        ((255, 255, 255), (0, 0, 0)),
        ((255, 230, 0), (0, 0, 0)),
        ((0, 0, 0), (255,) * 3),
    ][int(rng.integers(3))]
    if rng.random() < 0.3:
        draw.rectangle(box, fill=(*edge, 255))
    draw.multiline_text(
        *((width / 2, y), text, fill, font, "ma"), align="center", stroke_width=2, stroke_fill=edge
    )
    seen = max(0, min(box[3], height) - max(box[1], 0)) * max(
        0, min(box[2], width) - max(box[0], 0)
    )
    lasts = float(rng.choice((1.0, rng.uniform(0.3, 1))))
    first = float(rng.uniform(0, 1 - lasts)) if lasts < 1 else 0.0
    return np.asarray(label), first, first + lasts, seen / (width * height)


@lru_cache
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    import matplotlib

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans-Bold.ttf", pixels)


def _wrapped(draw: ImageDraw.ImageDraw, text: str, font: Any, width: int) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font) > 0.9 * width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines[:6])


def _sound(piece: Piece, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Mix music, the film's own sound, speech and effects, float32 [samples]."""
    traits, samples = piece.traits, round(seconds * RATE_HZ)
    beds = [*piece.source.music, *(film for film in piece.source.films for _ in (0, 1, 2))]
    mix = np.zeros(samples)
    if beds and rng.random() < 0.85:
        mix += _level(_read_sound(beds[int(rng.integers(len(beds)))], seconds, rng), 0.1)
    if piece.source.effects and rng.random() < 0.5:
        mix += _level(_beats(piece, samples, rng), 0.1 * np.exp(0.5 * rng.normal()))
    speech = _speech(piece, samples, rng)
    mix += _level(speech, 0.1 * 10 ** ((6 + 4 * traits["voice"]) / 20))
    mix = _tilted(mix + 1e-5 * rng.normal(size=samples), 3.0 * traits["tilt"])
    swell = np.linspace(-1, 1, samples) * rng.choice((-1, 1)) * max(0.0, traits["swell"])
    mix = _level(mix * 10 ** (8 * swell / 20), 10 ** ((-22 + 6 * traits["loudness"]) / 20))
    return np.tanh(mix).astype(np.float32)


def _level(sound: np.ndarray, rms: float) -> np.ndarray:
    now = np.sqrt(np.mean(sound**2))
    return sound * (rms / now) if now > 1e-6 else sound


def _read_sound(path: Path, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return so many seconds from anywhere in the first minutes, repeated where there are fewer."""
    whole = _decode(path)
    samples = round(seconds * RATE_HZ)
    if len(whole) == 0:
        return np.zeros(samples)
    start = int(rng.integers(max(1, len(whole) - samples)))
    return np.resize(whole[start : start + samples], samples).astype(np.float64)


@lru_cache(maxsize=32)
def _decode(path: Path) -> np.ndarray:
    """Decode at most two minutes, mono at `RATE_HZ`; what can be read of a damaged file."""
    chunks: list[np.ndarray] = []
    try:
        with av.open(str(path)) as container:
            for track in container.streams.audio[:1]:
                resampler = av.AudioResampler("flt", "mono", RATE_HZ)
                for frame in container.decode(track):
                    chunks += [part.to_ndarray()[0] for part in resampler.resample(frame)]
                    if sum(map(len, chunks)) > 120 * RATE_HZ:
                        break
    except av.error.InvalidDataError as error:
        print(f"Damaged, and used as far as it goes: {path}: {error}", file=sys.stderr)
    return np.concatenate(chunks) if chunks else np.zeros(0, np.float32)


def _beats(piece: Piece, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Effects at a rate of their own, even or not."""
    per_second = np.exp(0.4 + 0.7 * piece.traits["beats"])
    count = max(1, round(per_second * samples / RATE_HZ))
    even = (np.arange(count) + 0.5) / count
    starts = even if rng.random() < 0.6 else np.sort(rng.random(count))
    mix = np.zeros(samples)
    for start in (starts * samples).astype(int):
        effect = _decode(piece.source.effects[int(rng.integers(len(piece.source.effects)))])
        part = effect[: min(samples - start, 2 * RATE_HZ)]
        mix[start : start + len(part)] += part
    return mix


def _speech(piece: Piece, samples: int, rng: np.random.Generator) -> np.ndarray:
    """Utterances of one speaker with pauses, for any share of the time, none included."""
    mix = np.zeros(samples)
    wanted = float(norm.cdf(1.6 * piece.traits["speech"] - 0.2)) * samples
    if wanted < 0.1 * samples:
        return mix
    recorded = piece.source.voices if rng.random() < 0.7 else ()
    at = int(rng.uniform(0, samples - wanted))
    end = at + wanted
    while at < end:
        said = _trimmed(_utterance(recorded, rng))[: int(end - at)]
        mix[at : at + len(said)] += said
        at += len(said) + round(0.15 * RATE_HZ)
    return mix


def _utterance(recorded: tuple[Path, ...], rng: np.random.Generator) -> np.ndarray:
    if recorded:
        return _decode(recorded[int(rng.integers(len(recorded)))])
    voice, pace = str(rng.choice(VOICES)), int(rng.integers(130, 200))
    said = speak(str(rng.choice(SENTENCES)), voice=voice, words_per_minute=pace, pitch=50)
    return np.interp(np.arange(0, len(said), SPEECH_RATE_HZ / RATE_HZ), np.arange(len(said)), said)


def _trimmed(sound: np.ndarray) -> np.ndarray:
    """Leave out silence before and after; at least a tenth of a second is left."""
    loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max(initial=1e-6))
    if len(loud) < RATE_HZ // 10:
        return np.zeros(RATE_HZ // 10)
    return sound[loud[0] : loud[-1] + 1]


def _tilted(sound: np.ndarray, per_octave_db: float) -> np.ndarray:
    spectrum = np.fft.rfft(sound)
    octaves = np.log2(np.clip(np.fft.rfftfreq(len(sound), 1 / RATE_HZ), 60, 12_000) / 1000)
    return np.fft.irfft(spectrum * 10 ** (per_octave_db * octaves / 20), len(sound))


def _encode(path: Path, frames: list[Picture], fps: int, sound: np.ndarray | None) -> None:
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", fps, {"preset": "veryfast", "crf": "24"})
        picture.height, picture.width = frames[0].shape[:2]
        picture.pix_fmt, picture.thread_count = "yuv420p", 1
        track = None if sound is None else container.add_stream("aac", RATE_HZ, layout="mono")
        for frame in frames:
            container.mux(picture.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(picture.encode())
        if track is not None and sound is not None:
            block = av.AudioFrame.from_ndarray(sound[None], "fltp", "mono")
            block.sample_rate, block.pts = RATE_HZ, 0
            container.mux(track.encode(block))
            container.mux(track.encode())
