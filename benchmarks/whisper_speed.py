"""How fast clips are read, beside `whisper.transcribe` in a loop and beside faster-whisper.

All read the same clips of 5 to 30 s, half of them with speech, with the same weights and the same
number of threads. The peers give text alone; ours gives text and embeddings. Prints times, how much
the texts differ from the loop's, what is written down where nobody speaks, and how near the
embeddings are to those of float32 and windows padded to 30 s.

Needs the extras `demo`, `dev` and `bench`. Usage:
    .venv/bin/python benchmarks/whisper_speed.py [--real FOLDER] [--rounds 5] [--parts 5]
where FOLDER may hold recordings of speech and music (see `sound_corpus.py`). With
parts, a round reads another fifth of the clips, say, and five rounds all of them once.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import jiwer
import numpy as np
import torch
import whisper
from interleaved import measure, print_machine, print_rows, print_table
from sound_corpus import SoundClip, write_corpus
from whisper.normalizers import EnglishTextNormalizer

from tiktok_virality.models.configs import Precision
from tiktok_virality.models.weights import Checkpoint
from tiktok_virality.models.whisper_configs import WhisperParameters
from tiktok_virality.models.whisper_encoding import encode, load_whisper, pool_states
from tiktok_virality.models.whisper_speech import ClipSpeech, SpeechModel
from tiktok_virality.models.whisper_weights import _packaged_parts, find_whisper_checkpoint

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

THREADS = 2
LOOP = "whisper.transcribe in a loop"
OURS = "ours"
LARGEST_WORD_ERROR = 0.02
CLIPS_TO_COMPARE = 16

Texts = list[str]
Reader = Callable[[Sequence[np.ndarray]], Texts]


def loop_reader(checkpoint: Checkpoint) -> Reader:
    """Read with openai-whisper, a clip at a time."""
    model = whisper.load_model(str(checkpoint.path), device="cpu")
    return lambda waveforms: [
        model.transcribe(waveform, fp16=False)["text"].strip() for waveform in waveforms
    ]


def load_faster_whisper(folder: Path) -> WhisperModel:
    """Load faster-whisper in int8 from the packaged weights, which are in its own layout."""
    from faster_whisper import WhisperModel

    parts = _packaged_parts()
    (folder / "model.bin").write_bytes(b"".join(part.read_bytes() for part in parts))
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes((parts[0].parent / name).read_bytes())
    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=THREADS)


def faster_whisper_reader(model: WhisperModel, vad_filter: bool) -> Reader:
    """Read with faster-whisper, a clip at a time, without or with its own voice detector."""

    def read(waveform: np.ndarray) -> str:
        segments, _ = model.transcribe(waveform, beam_size=1, vad_filter=vad_filter)
        return "".join(segment.text for segment in segments).strip()

    return lambda waveforms: [read(waveform) for waveform in waveforms]


def read_in_batches(model: SpeechModel, waveforms: Sequence[np.ndarray]) -> list[ClipSpeech]:
    """Read as the audio pipeline does: clips of like length together."""
    size = WhisperParameters().batch_size
    order = sorted(range(len(waveforms)), key=lambda place: len(waveforms[place]))
    heard: dict[int, ClipSpeech] = {}
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        heard |= dict(zip(batch, model.read([waveforms[i] for i in batch]), strict=True))
    return [heard[place] for place in range(len(waveforms))]


def our_reader(checkpoint: Checkpoint, precision: Precision) -> Reader:
    """Read with ours in this process."""
    model = SpeechModel(checkpoint, WhisperParameters(precision=precision), device="cpu")
    return lambda waveforms: [clip.text for clip in read_in_batches(model, waveforms)]


_worker: dict[str, SpeechModel] = {}


def _start_worker(checkpoint: Checkpoint) -> None:
    torch.set_num_threads(1)
    _worker["model"] = SpeechModel(checkpoint, WhisperParameters(), device="cpu")


def _read_in_worker(waveforms: Sequence[np.ndarray]) -> Texts:
    return [clip.text for clip in _worker["model"].read(waveforms)]


def pool_reader(pool: ProcessPoolExecutor) -> Reader:
    """Read with ours in processes of one thread each, the longest clips first."""

    def read(waveforms: Sequence[np.ndarray]) -> Texts:
        size = WhisperParameters().batch_size // THREADS
        order = sorted(range(len(waveforms)), key=lambda place: -len(waveforms[place]))
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        texts = pool.map(_read_in_worker, [[waveforms[i] for i in batch] for batch in batches])
        by_place = {
            place: text
            for batch, of_batch in zip(batches, texts, strict=True)
            for place, text in zip(batch, of_batch, strict=True)
        }
        return [by_place[place] for place in range(len(waveforms))]

    return read


def main() -> int:
    """Print the tables; fail where a word error or a text over music is above its limit."""
    arguments = _arguments()
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as folder:
        clips = write_corpus(Path(folder), arguments.each, arguments.real)
        waveforms = [clip.load() for clip in clips]
        checkpoint = find_whisper_checkpoint("base")
        pool = ProcessPoolExecutor(
            THREADS, get_context("spawn"), initializer=_start_worker, initargs=(checkpoint,)
        )
        model = cache(lambda: load_faster_whisper(Path(folder)))
        makers = {
            LOOP: lambda: loop_reader(checkpoint),
            "faster-whisper int8": lambda: faster_whisper_reader(model(), vad_filter=False),
            "faster-whisper int8, vad_filter": lambda: faster_whisper_reader(model(), True),
            OURS: lambda: our_reader(checkpoint, "mixed"),
            "ours, float32": lambda: our_reader(checkpoint, "full"),
            f"ours, {THREADS} processes of 1 thread": lambda: pool_reader(pool),
        }
        readers = {name: make() for name, make in makers.items() if name not in arguments.without}
        _describe(clips)
        print_machine()
        texts, times = _time(readers, waveforms, arguments.rounds, arguments.parts)
        print_machine()
        print_table(times, OURS, clips=len(clips) // arguments.parts)
        pool.shutdown()
    errors = _print_texts(clips, texts)
    _print_cosines(checkpoint, waveforms[:CLIPS_TO_COMPARE])
    return int(errors > LARGEST_WORD_ERROR)


def _time(
    readers: dict[str, Reader], waveforms: Sequence[np.ndarray], rounds: int, parts: int
) -> tuple[dict[str, Texts], dict[str, list[float]]]:
    """Let each reader read the clips, or one part of them, once per round.

    Progress goes to the error stream.
    """
    texts = {name: [""] * len(waveforms) for name in readers}
    turns = dict.fromkeys(readers, 0)

    def run(name: str) -> None:
        places = range(turns[name] % parts, len(waveforms), parts)
        turns[name] += 1
        start, cpu = time.perf_counter(), time.process_time()
        read = readers[name]([waveforms[place] for place in places])
        wall, busy = time.perf_counter() - start, time.process_time() - cpu
        for place, text in zip(places, read, strict=True):
            texts[name][place] = text
        print(f"{name}: {wall:.1f} s, {busy:.1f} s of processors", file=sys.stderr, flush=True)

    for reader in readers.values():
        reader(waveforms[:THREADS])
    runs = {name: (lambda name=name: run(name)) for name in readers}
    return texts, measure(runs, rounds, warm_up=False)


def _describe(clips: Sequence[SoundClip]) -> None:
    lengths = np.array([len(clip.load()) for clip in clips]) / 16_000
    kinds = {kind: sum(clip.kind == kind for clip in clips) for kind in {c.kind for c in clips}}
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    print(
        f"{len(clips)} clips of {lengths.min():.1f} to {lengths.max():.1f} s, "
        f"{lengths.sum():.0f} s in all: {counts}"
    )


def _print_texts(clips: Sequence[SoundClip], texts: dict[str, Texts]) -> float:
    """Print how the texts differ from the loop's, and return the word error of ours.

    Text of ours where nobody speaks counts as a word error of 1.
    """
    normalise = EnglishTextNormalizer()
    rows = [["reader", "word error to the loop", "clips without speech that got text"]]
    spoken = [place for place, clip in enumerate(clips) if clip.speech]
    reference = [normalise(texts[LOOP][place]) for place in spoken] if LOOP in texts else None
    ours = 0.0
    for name, each in texts.items():
        error = None
        if reference is not None:
            error = jiwer.wer(reference, [normalise(each[place]) for place in spoken])
        invented = sum(bool(each[p]) for p, clip in enumerate(clips) if not clip.speech)
        rows.append([name, "" if error is None else f"{error:.2%}", str(invented)])
        if name == OURS:
            ours = max(error or 0.0, float(invented > 0))
    print()
    print_rows(rows)
    return ours


def _print_cosines(checkpoint: Checkpoint, waveforms: Sequence[np.ndarray]) -> None:
    """Print how near embeddings are to those of one float32 pass padded to 30 s."""
    parameters = WhisperParameters()
    padded = load_whisper(checkpoint, "cpu", "full")
    rows = [["embeddings of", "mean cosine to float32 padded to 30 s", "smallest"]]
    truth = [_padded_tokens(padded, waveform, parameters) for waveform in waveforms]
    for name in ("mixed", "full"):
        model = SpeechModel(checkpoint, WhisperParameters(precision=name), device="cpu")
        heard = read_in_batches(model, waveforms)
        cosines = np.concatenate(
            [_cosines(clip.tokens.astype(float), t) for clip, t in zip(heard, truth, strict=True)]
        )
        rows.append([f"precision {name}", f"{cosines.mean():.5f}", f"{cosines.min():.5f}"])
    print()
    print_rows(rows)


def _padded_tokens(
    model: whisper.Whisper, waveform: np.ndarray, parameters: WhisperParameters
) -> np.ndarray:
    with torch.inference_mode():
        mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(waveform), model.dims.n_mels)
        states = encode(model.encoder, mel[None])[0][: max(1, -(-len(waveform) // 320))]
        return pool_states(states, parameters.states_per_token).numpy().astype(float)


def _cosines(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    return (ours * theirs).sum(axis=1) / lengths


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, default=None, help="recordings of speech and music")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--parts", type=int, default=1, help="a round reads one of so many parts of the clips"
    )
    parser.add_argument("--each", type=int, default=30, help="clips with speech, and without")
    parser.add_argument("--without", nargs="*", default=(), help="readers to leave out")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
