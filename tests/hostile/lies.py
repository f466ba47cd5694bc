"""Lies in the boxes of mp4 files: each says something of the clip that no clip can be."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from numpy.random import Generator

from tests.hostile.boxes import Box, Movie, full_box
from tests.hostile.damage import Seeds, any_seed

EXTREMES = (0, 1, 2, 0x7F, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)

Lie = Callable[[Generator, Movie], None]


def a_movie(rng: Generator, seeds: Seeds) -> tuple[str, Movie]:
    suffix, content = "", b""
    while b"moov" not in content:
        suffix, content = any_seed(rng, seeds, ".mp4", ".mov")
    return suffix, Movie.of(content)


def extreme(rng: Generator) -> int:
    return EXTREMES[rng.integers(len(EXTREMES))]


def put(box: Box, place: int, number: int, form: str = ">I") -> None:
    """Write a number into a box, if it has that place."""
    content = bytearray(box.content)
    if place + struct.calcsize(form) <= len(content):
        struct.pack_into(form, content, place, number)
        box.content = bytes(content)


def fields(rng: Generator, movie: Movie) -> None:
    """Write extreme numbers into fields of the index."""
    leaves = [
        box for top in movie.boxes if top.kind != b"mdat" for box in top.walk() if box.content
    ]
    for _ in range(int(rng.integers(1, 4))):
        box = leaves[rng.integers(len(leaves))]
        put(box, 4 * int(rng.integers(max(1, len(box.content) // 4))), extreme(rng))


def timescale(rng: Generator, movie: Movie) -> None:
    for box in movie.all(b"mdhd", b"mvhd"):
        if rng.random() < 0.7:
            put(box, 12, extreme(rng))


def duration(rng: Generator, movie: Movie) -> None:
    for box in movie.all(b"mdhd", b"mvhd"):
        put(box, 16, extreme(rng))
    for box in movie.all(b"tkhd"):
        put(box, 20, extreme(rng))


def turned(rng: Generator, movie: Movie) -> None:
    """Turn and stretch the picture by any matrix."""
    for box in movie.all(b"tkhd"):
        for place in range(40, 76, 4):
            put(box, place, extreme(rng) if rng.random() < 0.5 else int(rng.integers(2**32)))
        put(box, 76, extreme(rng))
        put(box, 80, extreme(rng))


def times(rng: Generator, movie: Movie) -> None:
    """Let frames last for nothing, or for ever."""
    for box in movie.all(b"stts"):
        count = int(rng.choice([1, 15, 100_000, 2**31, 2**32 - 1]))
        rest = struct.pack(">II", 5, 512) if rng.random() < 0.5 else b""
        changed = full_box(b"stts", 1 + bool(rest), count, extreme(rng), rest=rest)
        box.content = changed.content


def gap(rng: Generator, movie: Movie) -> None:
    """Let one sound in the middle last for days: whoever fills the gap fills the disk."""
    for box in movie.all(b"stts"):
        if rng.random() < 0.7:
            entries = (5, 1024, 1, int(rng.choice([2**31 - 1, 2**30, 10**8])), 100_000, 1024)
            box.content = full_box(b"stts", 3, *entries).content


def late(rng: Generator, movie: Movie) -> None:
    """Begin in a hundred years."""
    for trak in movie.all(b"trak"):
        trak.boxes = [box for box in trak.boxes if box.kind != b"edts"]
        seconds = int(rng.choice([3600, 10**6, 2**31 - 1]))
        empty = (seconds * int(rng.choice([1, 1000])), -1, 0x10000, 1500, 0, 0x10000)
        trak.boxes.insert(1, Box(b"edts", boxes=[full_box(b"elst", 2, *empty)]))


def edits(rng: Generator, movie: Movie) -> None:
    """Cut the clip by an edit list that no editor writes."""
    for trak in movie.all(b"trak"):
        trak.boxes = [box for box in trak.boxes if box.kind != b"edts"]
        count = int(rng.choice([1, 3, 50, 5000]))
        numbers = [extreme(rng) for _ in range(3 * count)]
        said = count if rng.random() < 0.7 else extreme(rng)
        trak.boxes.insert(1, Box(b"edts", boxes=[full_box(b"elst", said, *numbers)]))


def same_place(rng: Generator, movie: Movie) -> None:
    """Have a hundred thousand samples lie in the same large place."""
    size = len(movie.one(b"mdat").content)
    start = movie.pack().index(b"mdat") + 4
    count = int(rng.choice([1000, 20_000, 200_000]))
    for table in movie.all(b"stbl"):
        kept = [box for box in table.boxes if box.kind in (b"stsd", b"stss")]
        offsets = struct.pack(">I", start) * count
        made = [
            full_box(b"stts", 1, count, 1),
            full_box(b"stsc", 1, 1, 1, 1),
            full_box(b"stsz", size, count),
            full_box(b"stco", count, rest=offsets),
        ]
        table.boxes = kept + made


def sample_count(rng: Generator, movie: Movie) -> None:
    """Have more samples than any file has bytes."""
    for box in movie.all(b"stsz"):
        count = int(rng.choice([10**6, 10**8, 2**31 - 1, 2**32 - 1]))
        box.content = full_box(b"stsz", int(rng.choice([1, 2, 100, 2**31])), count).content
    for box in movie.all(b"stsc"):
        per_chunk = int(rng.choice([1, 1000, 10**6, 2**31 - 1]))
        box.content = full_box(b"stsc", 1, 1, per_chunk, 1).content


def chunks(rng: Generator, movie: Movie) -> None:
    """Have chunks lie anywhere, and samples be divided anyhow."""
    for box in movie.all(b"stco"):
        count = max(1, len(box.content) // 4 - 2)
        places = rng.integers(2 ** int(rng.choice([8, 14, 32])), size=count)
        box.content = full_box(b"stco", count, *places.tolist()).content
    for box in movie.all(b"stsc", b"ctts", b"stss"):
        for _ in range(3):
            put(box, 8 + 4 * int(rng.integers(max(1, len(box.content) // 4 - 2))), extreme(rng))


def described(rng: Generator, movie: Movie) -> None:
    """Describe another codec, or a picture as large as a house."""
    for box in movie.all(b"stsd"):
        put(box, 8 + 8 + 24, int(rng.choice([0, 1, 16_384, 65_535])), ">H")
        put(box, 8 + 8 + 26, int(rng.choice([0, 1, 16_384, 65_535])), ">H")
        if rng.random() < 0.5:
            name = rng.choice([b"jpeg", b"png ", b"rle ", b"raw ", b"vp09", b"hvc1", b"zzzz"])
            put(box, 12, int.from_bytes(name, "big"))
        if rng.random() < 0.5:
            data = bytearray(box.content)
            place = int(rng.integers(16, len(data)))
            data[place] ^= 1 << int(rng.integers(8))
            box.content = bytes(data)


def stretched(rng: Generator, movie: Movie) -> None:
    """Give pixels a shape that makes the picture a hair."""
    pasp = struct.pack(">I4sII", 16, b"pasp", extreme(rng) or 1, extreme(rng) or 1)
    for box in movie.all(b"stsd"):
        (size,) = struct.unpack_from(">I", box.content, 8)
        box.content += pasp
        put(box, 8, size + len(pasp))


def elsewhere(rng: Generator, movie: Movie, address: bytes, path: bytes) -> None:
    """Have the samples lie in another file, or on another machine."""
    kind = rng.integers(4)
    if kind == 0:
        reference = Box(b"url ", b"\0\0\0\0" + address + b"\0").pack()
    elif kind == 1:
        reference = Box(b"url ", b"\0\0\0\0file://" + path + b"\0").pack()
    elif kind == 2:
        reference = Box(b"urn ", b"\0\0\0\0" + path + b"\0" + address + b"\0").pack()
    else:
        reference = Box(b"alis", b"\0\0\0\0" + _alias(path)).pack()
    for box in movie.all(b"dref"):
        box.content = full_box(b"dref", 1, rest=reference).content


def _alias(path: bytes) -> bytes:
    """Return a record by which a Macintosh finds a file, as old mov files hold it."""
    name = path.rsplit(b"/", 1)[-1][:27]
    head = bytes(4) + struct.pack(">HHH", 0, 2, 0) + b"\4disk".ljust(28, b"\0") + bytes(12)
    head += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + struct.pack(">hh", 1, 1)
    head = head.ljust(150, b"\0")
    tail = struct.pack(">hH", 2, len(path)) + path + bytes(len(path) % 2)
    tail += struct.pack(">hH", 18, len(path)) + path + bytes(len(path) % 2)
    return head + tail + struct.pack(">hH", -1, 0)


def many_tracks(rng: Generator, movie: Movie) -> None:
    moov = movie.one(b"moov")
    traks = [box for box in moov.boxes if box.kind == b"trak"]
    moov.boxes += traks * int(rng.choice([10, 200, 3000]))


def nested(rng: Generator, movie: Movie) -> None:
    """Put a box into a box into a box."""
    kind = bytes(rng.choice([b"moov", b"udta", b"trak", b"meta", b"wave", b"moof"]))
    index = movie.one(b"moov")
    content = index.pack()
    for _ in range(int(rng.choice([5, 100, 2000]))):
        content = Box(kind, content).pack()
    movie.boxes[movie.boxes.index(index)] = Box(kind, content)


def sizes(rng: Generator, movie: Movie) -> None:
    """Have boxes say that they are larger than the file, or have no end."""
    boxes = movie.all()
    for _ in range(int(rng.integers(1, 4))):
        box = boxes[rng.integers(len(boxes))]
        box.says = int(rng.choice([0, 1, 7, 8, 2**31, 2**32 - 1, 2**33, 2**63 - 1]))


def shuffled(rng: Generator, movie: Movie) -> None:
    """Leave boxes out, repeat them, exchange them, or name them otherwise."""
    holders = [box for box in movie.all() if box.boxes]
    for _ in range(int(rng.integers(1, 4))):
        holder = holders[rng.integers(len(holders))]
        place = int(rng.integers(len(holder.boxes))) if holder.boxes else 0
        match int(rng.integers(4)):
            case 0:
                del holder.boxes[place : place + 1]
            case 1:
                holder.boxes += holder.boxes[place : place + 1] * int(rng.choice([1, 50]))
            case 2:
                rng.shuffle(holder.boxes)  # type: ignore[arg-type]
            case _:
                kinds = [box.kind for box in movie.all()]
                for box in holder.boxes[place : place + 1]:
                    box.kind = kinds[rng.integers(len(kinds))]


def packed_index(rng: Generator, movie: Movie) -> None:
    """Pack the index as old mov files do, with a lie about its size."""
    index = movie.one(b"moov")
    inside = index.pack() if rng.random() < 0.5 else bytes(int(rng.choice([10**6, 5 * 10**7])))
    size = int(rng.choice([len(inside), 2**31 - 1, 2**32 - 1, 0]))
    packed = struct.pack(">I", size) + zlib.compress(inside)
    cmov = Box(b"cmov", boxes=[Box(b"dcom", b"zlib"), Box(b"cmvd", packed)])
    movie.boxes[movie.boxes.index(index)] = Box(b"moov", boxes=[cmov])


def fragments(rng: Generator, movie: Movie) -> None:
    """Have fragments hold what no fragment holds."""
    run = Box(b"trun", struct.pack(">I", 0) + struct.pack(">I", extreme(rng)))
    defaults = struct.pack(">IIII", 0x38, 1, extreme(rng), extreme(rng))
    head = Box(b"tfhd", defaults + struct.pack(">I", extreme(rng)))
    when = Box(b"tfdt", b"\1\0\0\0" + struct.pack(">Q", int(rng.choice([0, 2**62, 2**63 - 1]))))
    piece = Box(b"moof", boxes=[full_box(b"mfhd", 1), Box(b"traf", boxes=[head, when, run])])
    index = full_box(b"sidx", 1, extreme(rng), 0, 0, extreme(rng), rest=bytes(600))
    extends = full_box(b"trex", 1, 1, extreme(rng), extreme(rng), 0)
    movie.one(b"moov").boxes.append(Box(b"mvex", boxes=[extends]))
    movie.boxes += [index, *[piece] * int(rng.choice([1, 1000]))]


def told(rng: Generator, movie: Movie) -> None:
    """Say of the clip what a page should not show and a program cannot read."""
    texts = [
        b"<script>fetch('http://x')</script>" * 50,
        b"\xff\xfe\xc0\x80 latin \xe9\xe8",
        b'=HYPERLINK("http://x")',
        "\u202e\u2066bidi\u0000".encode(),
        b"A" * 100_000,
    ]
    text = texts[rng.integers(len(texts))]
    note = struct.pack(">HH", len(text) & 0xFFFF, 0x55C4) + text
    names = (b"\xa9nam", b"\xa9cmt", b"\xa9ART", b"\xa9too")
    movie.one(b"moov").boxes.append(Box(b"udta", boxes=[Box(name, note) for name in names]))
    for box in movie.all(b"hdlr"):
        box.content = box.content[:24] + text


LIES: dict[str, Lie] = {
    each.__name__: each
    for each in (
        *(fields, timescale, duration, turned, times, gap, late, edits, same_place, sample_count),
        *(chunks, described, stretched, many_tracks, nested, sizes, shuffled, packed_index),
        *(fragments, told),
    )
}


def tell(name: str, rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """Return a movie of which something is said that is not so."""
    suffix, movie = a_movie(rng, seeds)
    LIES[name](rng, movie)
    content = movie.pack()
    return suffix, content if rng.random() < 0.9 else content[: int(rng.integers(len(content)))]


def refer_elsewhere(rng: Generator, seeds: Seeds, address: bytes, path: bytes) -> tuple[str, bytes]:
    suffix, movie = a_movie(rng, seeds)
    elsewhere(rng, movie, address, path)
    return suffix, movie.pack()
