"""Sparse frame decoding beside four peers, on clips of several codecs and lengths of group.

    .venv/bin/pip install -c constraints.txt -e '.[demo,bench]'
    .venv/bin/python benchmarks/frame_decoding.py [--sources FOLDER] [--repeats 5]

Every peer decodes the same files with one thread, scales the wanted frames to the same size and
hands over RGB in memory. OpenCV and decord scale and convert in their own way, so pixels differ a
little; that ours are those of decoding everything is tested in `tests/media/test_frames.py`.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from interleaved import measure, print_machine, print_rows, print_table

from tiktok_virality.media.frames import FrameSampling, sample_frames

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
HEIGHT, WIDTH, SHRINK, RATE = 1280, 720, 8, 30
SIZE = (WIDTH // SHRINK, HEIGHT // SHRINK)
GROUPS = (30, 90, 250)
CODECS = {"h264": "libx264", "hevc": "libx265"}
STRIDES = {10: 1.2, 50: 1.5, 200: 1.8}
"""Every how many frames one is wanted, and how many times the best peer's speed is the goal."""
COUNTED = 5_000_000
SYNTHETIC = (
    "mandelbrot=size=720x1280:rate=30:end_scale=0.002:maxiter=600",
    "life=size=180x320:rate=30:mold=12:ratio=0.15:seed=1:stitch=1,scale=720:1280,gblur=2",
)


def main() -> None:
    """Print one table per stride, and what a second process brings."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--sources", type=Path, help="folder of videos to cut the clips from")
    options.add_argument("--clips", type=Path, default=Path("build/bench/frames"))
    options.add_argument("--seconds", type=int, default=20, help="length of each clip")
    options.add_argument("--repeats", type=int, default=5)
    wanted = options.parse_args()
    clips = make_clips(wanted.clips, wanted.sources, wanted.seconds)
    print_machine()
    print(f"\n{len(clips)} clips of {wanted.seconds} s, {WIDTH}x{HEIGHT}, {RATE} frames per second")
    rows = [["every nth", "best peer", "ours is faster by", "goal"]]
    for stride, goal in STRIDES.items():
        print(f"\n## Every {stride}th frame\n")
        peers = {name: partial(run, clips, stride) for name, run in PEERS.items()}
        ratios = print_table(measure(peers, wanted.repeats), "ours", clips=len(clips))
        best = min(ratios, key=lambda name: ratios[name])
        rows.append([str(stride), best, f"{ratios[best]:.2f}x", f"{goal:.1f}x"])
    print("\n## Against the best peer\n")
    print_rows(rows)
    print("\n## Two processes, every 10th frame\n")
    print_two_processes(clips, wanted.repeats)


def make_clips(folder: Path, sources: Path | None, seconds: int) -> list[Path]:
    """Encode what is missing: every source in every codec and length of group."""
    found = sorted(p for p in sources.iterdir() if p.suffix == ".mp4") if sources else []
    inputs = {p.stem: ["-stream_loop", "-1", "-i", str(p)] for p in found}
    if not inputs:
        inputs = {graph.split("=")[0]: ["-f", "lavfi", "-i", graph] for graph in SYNTHETIC}
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for name, reading in inputs.items():
        for codec in CODECS:
            for group in GROUPS:
                clip = folder / f"{name}-{codec}-{group}-{seconds}s.mp4"
                if not clip.exists():
                    encode(reading, clip, codec, group, seconds)
                clips.append(clip)
    return clips


def encode(reading: Sequence[str], clip: Path, codec: str, group: int, seconds: int) -> None:
    """Cut a portrait clip out of a source; groups of pictures are exactly as long as asked for."""
    size = f"{WIDTH}:{HEIGHT}"
    cut = f"fps={RATE},scale={size}:force_original_aspect_ratio=increase,crop={size}"
    structure = ["-g", str(group), "-keyint_min", str(group), "-sc_threshold", "0"]
    if codec == "hevc":
        structure = ["-x265-params", f"keyint={group}:min-keyint={group}:scenecut=0:log-level=1"]
        structure += ["-tag:v", "hvc1"]
    partial_file = clip.with_suffix(".part.mp4")
    command = [FFMPEG, "-v", "error", "-y", *reading, "-t", str(seconds), "-an", "-vf", cut]
    command += ["-pix_fmt", "yuv420p", "-c:v", CODECS[codec], "-preset", "fast", *structure]
    subprocess.run([*command, str(partial_file)], check=True)
    partial_file.rename(clip)


def ours(clip: Path, stride: int) -> np.ndarray:
    """Sample the way the project does."""
    sampling = FrameSampling(
        every_nth=stride,
        shrink=SHRINK,
        max_frames=None,
        reference_height=HEIGHT,
        reference_width=WIDTH,
    )
    return sample_frames(clip, sampling).pixels


def ffmpeg_command(clip: Path, stride: int) -> np.ndarray:
    """The command line, its `select` filter and a pipe."""
    command = [FFMPEG, "-v", "error", "-threads", "1", "-i", str(clip), "-an"]
    command += ["-vf", f"select=not(mod(n\\,{stride})),scale={SIZE[0]}:{SIZE[1]}"]
    command += ["-filter_threads", "1", "-fps_mode", "passthrough"]
    command += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, SIZE[1], SIZE[0], 3)


def pyav_decoding_all(clip: Path, stride: int) -> np.ndarray:
    """PyAV, every frame decoded, the wanted ones scaled."""
    import av

    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        kept = [
            frame.reformat(*SIZE, "rgb24").to_ndarray()
            for index, frame in enumerate(container.decode(stream))
            if index % stride == 0
        ]
    return np.stack(kept)


def opencv_grab(clip: Path, stride: int) -> np.ndarray:
    """OpenCV: `grab` for every frame, `retrieve` for the wanted ones."""
    import cv2

    capture = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    kept, index = [], 0
    while capture.grab():
        if index % stride == 0:
            small = cv2.resize(capture.retrieve()[1], SIZE, interpolation=cv2.INTER_AREA)
            kept.append(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
        index += 1
    capture.release()
    return np.stack(kept)


def decord_batch(clip: Path, stride: int) -> np.ndarray:
    """Decord: `get_batch` of the wanted indices, scaled by its reader."""
    import decord

    reader = decord.VideoReader(str(clip), width=SIZE[0], height=SIZE[1], num_threads=1)
    return reader.get_batch(range(0, len(reader), stride)).asnumpy()


def over(sample: Callable[[Path, int], np.ndarray], clips: Sequence[Path], stride: int) -> None:
    """Sample all clips, and see that each gave the frames that it should."""
    for clip in clips:
        seconds = int(clip.stem.rsplit("-", 1)[1].removesuffix("s"))
        frames = len(sample(clip, stride))
        expected = len(range(0, seconds * RATE, stride))
        assert frames == expected, f"{sample.__name__} gave {frames} of {expected} frames of {clip}"


PEERS: dict[str, Callable[[Sequence[Path], int], None]] = {
    "ours": partial(over, ours),
    "ffmpeg command, select": partial(over, ffmpeg_command),
    "PyAV, all frames": partial(over, pyav_decoding_all),
    "OpenCV, grab and retrieve": partial(over, opencv_grab),
    "decord, get_batch": partial(over, decord_batch),
}


def print_two_processes(clips: Sequence[Path], repeats: int) -> None:
    """Print how much faster two processes are than one; both are warm."""
    with (
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as one,
        ProcessPoolExecutor(2, mp_context=get_context("spawn")) as two,
    ):
        many = [clip for clip in clips for _ in range(2)]

        def through(pool: ProcessPoolExecutor) -> None:
            list(pool.map(partial(ours_size, stride=10), many))

        def count(pool: ProcessPoolExecutor) -> None:
            list(pool.map(arithmetic, [COUNTED] * 8))

        for _ in range(2):
            through(two)
        pools = {"two processes": two, "one process": one}
        times = measure({name: partial(through, pool) for name, pool in pools.items()}, repeats)
        bare = measure({name: partial(count, pool) for name, pool in pools.items()}, repeats)
    print_table(times, "two processes", clips=len(many))
    print("\nWhat these two cores give to arithmetic that shares nothing:\n")
    print_table(bare, "two processes")


def arithmetic(count: int) -> int:
    """Keep one core busy without touching memory."""
    total = 0
    for number in range(count):
        total ^= number * number
    return total


def ours_size(clip: Path, stride: int) -> int:
    """Sample a clip and say how many frames it gave, which is little to send back."""
    return len(ours(clip, stride))


if __name__ == "__main__":
    main()
