"""The corpus: so many hostile clips, each the same whenever it is asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import Generator

from tests.hostile import bombs, damage, references
from tests.hostile.damage import Seeds
from tests.hostile.lies import LIES, tell
from tests.hostile.trap import Trap
from tiktok_virality.datasets.video_folder import video_id_of

Made = tuple[str, bytes]
"""The suffix of a file, and its content."""


@dataclass(frozen=True)
class HostileClip:
    """One file of the corpus.

    Attributes:
        family: In which way it is hostile.
        place: Its number in the corpus: with the seed, all that is needed to make it again.
        suffix: Of its name.
        content: What it holds.
    """

    family: str
    place: int
    suffix: str
    content: bytes

    @property
    def video_id(self) -> str:
        return f"{self.place:05d} {self.family}"


def families(trap: Trap) -> dict[str, tuple[int, Callable[[Generator, Seeds], Made]]]:
    """Return the families by name, each with its weight."""
    plain = {
        "flip_bits": (20, damage.flip_bits),
        "cut_short": (5, damage.cut_short),
        "splice": (6, damage.splice),
        "write_extremes": (6, damage.write_extremes),
        "huge_gif": (1, bombs.huge_gif),
        "huge_png": (1, bombs.huge_png),
        "huge_jpeg": (1, bombs.huge_jpeg),
        "huge_vp9": (1, bombs.huge_vp9),
        "endless_frames": (1, bombs.endless_frames),
        "matroska_tracks": (1, bombs.many_tracks),
        "packed_blocks": (1, bombs.packed_blocks),
        "playlist": (10, partial(references.playlist, trap=trap)),
        "outside_samples": (4, partial(references.outside_samples, trap=trap)),
        "playlist_behind": (2, partial(references.playlist_behind_a_clip, trap=trap)),
    }
    return plain | {name: (2, partial(tell, name)) for name in LIES}


def hostile_clips(count: int, seed: int, seeds: Seeds, trap: Trap) -> Iterator[HostileClip]:
    """Yield clips: first one of each family, then families by their weight."""
    known = families(trap)
    names = list(known)
    shares = np.array([weight for weight, _ in known.values()], float)
    for place in range(count):
        rng = np.random.default_rng([seed, place])
        drawn = rng.choice(len(names), p=shares / shares.sum())
        name = names[place if place < len(names) else drawn]
        suffix, content = known[name][1](rng, seeds)
        yield HostileClip(name, place, suffix, content)


TEXTS = (
    "A" * 100_000,
    "".join(map(chr, range(1, 32))) + "\x7f\x85\u2028\u2029",
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "'\"><svg/onload=alert(1)>{{7*7}}{% for x in () %}${7*7}",
    '=HYPERLINK("http://127.0.0.1/","x")',
    "+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\u202egnp.exe \u2066\u2067\u2068\u2069\ufeff",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 1000,
    "Z" + "\u0335\u0336\u0337" * 5000,
    "\x00zero\x00",
    "half a pair \ud83d and \udc00",
    "../../../../etc/passwd",
    "file:///etc/passwd",
    "%s%n%d %(asctime)s {0} {self.__class__}",
    "#" * 10_000 + " #tag" * 10_000,
)
"""Captions, creators and addresses of posts."""


VIEWS = (
    *("9" * 5000, "-1", "1e400", "NaN", "Infinity", "\u0661\u0662", "1,2.3,4", "=1+1", "0x10"),
    *({"a": {"b": 1}}, [[1], [2]], True, -(10**30), 10**30, 0.1, "12" + "\u0000" + "3", ""),
)
"""What is said to be a count."""


def hostile_posts(ids: list[str], seed: int) -> list[dict[str, object]]:
    """Return a post for each id, with words that do harm where they are not taken as words."""
    posts: list[dict[str, object]] = []
    for place, video_id in enumerate(ids):
        rng = np.random.default_rng([seed, place, 1])
        caption, creator, url, topic = (TEXTS[k] for k in rng.integers(len(TEXTS), size=4))
        post: dict[str, object] = {"id": video_id, "views": int(rng.integers(1, 10**6))}
        if rng.random() < 0.5:
            post |= {"caption": caption, "creator": creator, "url": url, "topic": topic}
        if rng.random() < 0.1:
            post["views"] = VIEWS[rng.integers(len(VIEWS))]
        if rng.random() < 0.1:
            post |= {"posted_at": caption, "captured_at": url, "hashtags": [caption, topic]}
        posts.append(post)
    return posts


STRANGE_NAMES = (
    b"-i.mp4",
    b"--help.mp4",
    b"frame%05d.mp4",
    b"%2e%2e%2fup.mp4",
    b"%00.mp4",
    b"%0a.mp4",
    b"two\nlines.mp4",
    b"tab\tand\rreturn.mp4",
    b"back\\slash.mp4",
    b"'quote\".mp4",
    b"$(touch here).mp4",
    b";touch here;.mp4",
    b"a|b.mp4",
    b"*?[].mp4",
    b"<script>alert(1)<&>.mp4",
    "\u202egpj.mp4".encode(),
    "e\u0301 \U0001f600.mp4".encode(),
    b"not \xff\xfe utf8.mp4",
    b"http:127.0.0.1.mp4",
    b"concat:a|b.mp4",
    b"x" * 250 + b".mp4",
    b"=1+1.mp4",
    b" .mp4",
    b"nul.mp4",
)
"""Names of files that mean something else to a shell, a program or a page."""


def add_strange_files(folder: Path, clip: bytes, trap: Trap) -> None:
    """Put into a folder what is no regular file of it, and files of strange names."""
    for name in STRANGE_NAMES:
        (folder / os.fsdecode(name)).write_bytes(clip + name)
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    (folder / "zero.mp4").symlink_to("/dev/zero")
    (folder / "random.mp4").symlink_to("/dev/urandom")
    (folder / "memory.mp4").symlink_to("/proc/self/mem")
    (folder / "outside.mp4").symlink_to(trap.clip)
    (folder / "outside folder").symlink_to(trap.folder)
    (folder / "loop.mp4").symlink_to("loop.mp4")
    (folder / "nothing.mp4").symlink_to("not there")
    (folder / "inside.mp4").symlink_to("nul.mp4")
    (folder / "empty.mp4").write_bytes(b"")
    with (folder / "sparse.mp4").open("wb") as file:
        file.write(clip)
        file.truncate(2**40)
    with (folder / "sparse zeros.mp4").open("wb") as file:
        file.truncate(2**36)


def strange_ids() -> list[str]:
    names = [*STRANGE_NAMES, b"pipe.mp4", b"zero.mp4", b"outside.mp4", b"sparse.mp4"]
    return [video_id_of(Path(os.fsdecode(name))) for name in names]


def write_posts(path: Path, posts: list[dict[str, object]]) -> None:
    path.write_text(json.dumps(posts), encoding="utf-8")
