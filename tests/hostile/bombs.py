"""Small files that become large: huge pictures, endless frames, thousands of tracks."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

from numpy.random import Generator

from tests.hostile.boxes import Box, Movie, full_box
from tests.hostile.damage import Seeds

SIDES = (4_000, 16_000, 32_767, 65_535)
EBML_HEAD = bytes.fromhex("1a45dfa3a3") + bytes.fromhex(
    "4286810142f7810142f2810442f381084282886d6174726f736b614287810442858102"
)


def huge_gif(rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """A few hundred bytes that say how large a picture is, again and again."""
    side = int(rng.choice(SIDES))
    return ".mp4", gif(side, side, int(rng.choice([20, 2000])))


def gif(width: int, height: int, frames: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    control = b"\x21\xf9\x04" + struct.pack("<BHB", 0, 10, 0) + b"\0"
    picture = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0"
    return head + (control + picture) * frames + b"\x3b"


def huge_png(rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """A movie of one picture in black and white, a thousand times smaller packed."""
    side = int(rng.choice(SIDES[:3]))
    return ".mov", still_movie(b"png ", png(side, min(side, 20_000)), side, frames=20)


def png(width: int, height: int, bits: int = 1) -> bytes:
    """Return a black picture in grey levels."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width * bits + 7) // 8)
    data = b"".join(packer.compress(row * 100) for _ in range(height // 100)) + packer.flush()
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)), (b"IDAT", data)]
    packed = [
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in [*parts, (b"IEND", b"")]
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def huge_jpeg(rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """A JPEG picture that says it is much larger than it is."""
    side = int(rng.choice(SIDES))
    content = bytearray(jpeg())
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, side, side)
    return ".mov", still_movie(b"jpeg", bytes(content), 64, frames=20)


def jpeg() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (200, 100, 50)).save(buffer, "JPEG")
    return buffer.getvalue()


def still_movie(
    codec: bytes, picture: bytes, side: int, frames: int, pause: int = 100, last: bytes = b""
) -> bytes:
    """Return a movie that shows one picture again and again, a tenth of a second each.

    ``last`` is another picture at its end.
    """
    start = struct.pack(">I4sI4s", 20, b"ftyp", 0x71742020, b"qt  ") + bytes(4)
    size = min(side, 65_535)
    entry = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", size, size)
    entry += struct.pack(">IIIH", 0x480000, 0x480000, 0, 1) + bytes(32) + struct.pack(">Hh", 24, -1)
    place = len(start) + 8
    tables = [
        full_box(b"stsd", 1, rest=Box(codec, entry).pack()),
        full_box(b"stts", 1, frames, pause),
        full_box(b"stsc", 1, 1, 1, 1),
        full_box(b"stsz", 0, frames, *[len(picture)] * (frames - 1), len(last or picture)),
        full_box(b"stco", frames, *[place] * (frames - 1), place + len(picture) * bool(last)),
    ]
    dref = full_box(b"dref", 1, rest=Box(b"alis", b"\0\0\0\1").pack())
    media = Box(
        b"minf",
        boxes=[
            full_box(b"vmhd", 0, 0),
            Box(b"dinf", boxes=[dref]),
            Box(b"stbl", boxes=tables),
        ],
    )
    handler = Box(b"hdlr", bytes(8) + b"vide" + bytes(13))
    seconds = frames * pause
    mdia = Box(b"mdia", boxes=[full_box(b"mdhd", 0, 0, 1000, seconds, 0), handler, media])
    tkhd = Box(b"tkhd", b"\0\0\0\3" + struct.pack(">IIIII", 0, 0, 1, 0, seconds) + bytes(60))
    moov = Box(
        b"moov",
        boxes=[
            full_box(b"mvhd", 0, 0, 1000, seconds, 0x10000, rest=bytes(76)),
            Box(b"trak", boxes=[tkhd, mdia]),
        ],
    )
    return start + Box(b"mdat", picture + last).pack() + moov.pack()


def huge_vp9(rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """Key frames that say they are 65,536 pixels wide."""
    content = bytearray(seeds["vp9_sound.webm"])
    size = int(rng.choice([4_096, 16_384, 65_536])) - 1
    place = content.find(b"\x49\x83\x42")
    while place >= 0:
        bits = int.from_bytes(content[place + 3 : place + 9], "big")
        rest = 48 - 4 - 32
        kept = bits & ~(((1 << 32) - 1) << rest)
        bits = kept | ((size << 16 | size) << rest)
        content[place + 3 : place + 9] = bits.to_bytes(6, "big")
        place = content.find(b"\x49\x83\x42", place + 1)
    return ".webm", bytes(content)


def endless_frames(rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """Hundreds of thousands of frames in the place of one, within two minutes."""
    count = int(rng.choice([20_000, 200_000, 1_000_000]))
    return ".mov", still_movie(b"jpeg", jpeg(), 64, frames=count, pause=0 if count > 10**5 else 1)


def many_tracks(rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """A Matroska file of thousands of sounds, subtitles and attachments."""
    count = int(rng.choice([50, 500, 5000]))
    codecs = [(1, b"V_MJPEG"), (2, b"A_OPUS"), (17, b"S_TEXT/UTF8"), (2, b"A_VORBIS")]
    tracks = [
        track(number, *codecs[(number - 1) % len(codecs) if number > 1 else 0])
        for number in range(1, count + 1)
    ]
    files = [
        element(
            0x61A7,
            element(0x466E, b"../../canary.txt")
            + element(0x4660, b"application/x-truetype-font")
            + element(0x465C, bytes(10))
            + element(0x46AE, number(n)),
        )
        for n in range(1, count + 1)
    ]
    return ".mkv", matroska(tracks, [jpeg()] * 20, element(0x1941A469, b"".join(files)))


def packed_blocks(rng: Generator, seeds: Seeds) -> tuple[str, bytes]:
    """Blocks of Matroska that grow a thousand times when unpacked."""
    size = int(rng.choice([10**6, 9 * 10**6, 5 * 10**7]))
    settings = element(0x5034, element(0x4254, b"\0"))
    packing = element(0x6D80, element(0x6240, element(0x5033, b"\0") + settings))
    block = zlib.compress(jpeg() + bytes(size), 9)
    return ".mkv", matroska(
        [track(1, 1, b"V_MJPEG", packing)], [block] * int(rng.choice([15, 300]))
    )


def number(value: int) -> bytes:
    return value.to_bytes(8, "big")


def element(name: int, content: bytes) -> bytes:
    """Return an element of EBML; its size takes eight bytes."""
    identity = name.to_bytes((name.bit_length() + 7) // 8, "big")
    return identity + (2**56 | len(content)).to_bytes(8, "big") + content


def track(place: int, kind: int, codec: bytes, more: bytes = b"") -> bytes:
    shape = (
        element(0xE0, element(0xB0, number(64)) + element(0xBA, number(64))) if kind == 1 else b""
    )
    head = (
        element(0xD7, number(place)) + element(0x73C5, number(place)) + element(0x83, number(kind))
    )
    return element(0xAE, head + element(0x86, codec) + shape + more)


def matroska(tracks: Sequence[bytes], blocks: Sequence[bytes], more: bytes = b"") -> bytes:
    """Return a file of tracks whose first shows the blocks, a tenth of a second each."""
    info = element(0x1549A966, element(0x2AD7B1, number(1_000_000)))
    shown = [
        element(0x1F43B675, element(0xE7, number(100 * n)) + element(0xA3, b"\x81\0\0\x80" + block))
        for n, block in enumerate(blocks)
    ]
    content = info + element(0x1654AE6B, b"".join(tracks)) + more + b"".join(shown)
    return EBML_HEAD + element(0x18538067, content)


def wide_movie(content: bytes, width: int, height: int) -> bytes:
    """Return a movie whose pixels are so wide and so high that the picture has this shape."""
    movie = Movie.of(content)
    for box in movie.all(b"stsd"):
        pasp = struct.pack(">I4sII", 16, b"pasp", width, height)
        (size,) = struct.unpack_from(">I", box.content, 8)
        box.content = box.content[:8] + struct.pack(">I", size + 16) + box.content[12:] + pasp
    return movie.pack()
