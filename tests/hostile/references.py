"""Files that name other files and addresses, and pretend to be clips."""

from __future__ import annotations

from numpy.random import Generator

from tests.hostile.damage import Seeds
from tests.hostile.lies import refer_elsewhere
from tests.hostile.trap import Trap

SCRIPTS = {
    "hls": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{it}\n#EXT-X-ENDLIST\n",
    "hls key": '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI="{it}"\n'
    "#EXTINF:2,\n{it}\n#EXT-X-ENDLIST\n",
    "hls map": '#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI="{it}"\n#EXTINF:2,\n{it}\n'
    "#EXT-X-ENDLIST\n",
    "hls master": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{it}\n",
    "concat": "ffconcat version 1.0\nfile '{it}'\nduration 2\n",
    "concat bare": "file '{it}'\nfile '{it}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="video/mp4">'
    '<Representation id="1" bandwidth="1"><BaseURL>{it}</BaseURL><SegmentBase/>'
    "</Representation></AdaptationSet></Period></MPD>",
    "xml": '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "{it}">]><MPD><x>&e;</x></MPD>',
    "smil": '<smil><body><video src="{it}"/></body></smil>',
    "asx": '<asx version="3.0"><entry><ref href="{it}"/></entry></asx>',
    "rtsp text": "RTSPtext\nrtsp://127.0.0.1:{port}/x\n",
    "ram": "{it}\n",
    "reference movie": "SMILtext\n{it}\n",
    "imf": '<?xml version="1.0"?><CompositionPlaylist '
    'xmlns="http://www.smpte-ra.org/schemas/2067-3/2016"><Id>urn:uuid:1</Id></CompositionPlaylist>',
    "avisynth": 'DirectShowSource("{it}")\n',
    "lavfi": "movie={it}\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
    '<image xlink:href="{it}" width="9" height="9"/></svg>',
    "cue": 'FILE "{it}" WAVE\n  TRACK 01 AUDIO\n',
    "vobsub": "# VobSub index file, v7\nid: en, index: 0\nfile {it}\n",
    "mlt": '<mlt><producer><property name="resource">{it}</property></producer></mlt>',
}

WAYS = (
    "{path}",
    "file:{path}",
    "file://{path}",
    "{up}",
    "http://127.0.0.1:{port}/clip.mp4",
    "https://127.0.0.1:{port}/clip.mp4",
    "tcp://127.0.0.1:{port}",
    "udp://127.0.0.1:{port}",
    "rtmp://127.0.0.1:{port}/x/y",
    "ftp://127.0.0.1:{port}/x",
    "concat:{path}|{path}",
    "subfile,,start,0,end,0,,:{path}",
    "crypto:{path}",
    "cache:{path}",
    "data:text/plain;base64,AAAA",
    "pipe:0",
    "fd:0",
    "unix:{path}",
    "async:{path}",
    "hls+file://{path}",
)


def playlist(rng: Generator, seeds: Seeds, trap: Trap) -> tuple[str, bytes]:
    """Return a script that has the canary, or a port of this machine, opened."""
    names = list(SCRIPTS)
    script = SCRIPTS[names[rng.integers(len(names))]]
    way = WAYS[rng.integers(len(WAYS))]
    up = f"../../{trap.folder.name}/{trap.clip.name}"
    it = way.format(path=trap.clip, up=up, port=trap.port)
    suffix = str(rng.choice([".mp4", ".mov", ".mkv", ".webm", ".m4v"]))
    return suffix, script.replace("{it}", it).replace("{port}", str(trap.port)).encode()


def outside_samples(rng: Generator, seeds: Seeds, trap: Trap) -> tuple[str, bytes]:
    """Return a movie whose samples lie in the canary, or at an address."""
    address = f"http://127.0.0.1:{trap.port}/clip.mp4".encode()
    return refer_elsewhere(rng, seeds, address, str(trap.clip).encode())


def playlist_behind_a_clip(rng: Generator, seeds: Seeds, trap: Trap) -> tuple[str, bytes]:
    """Return a playlist that begins as a clip does, or ends as one."""
    _, script = playlist(rng, seeds, trap)
    clip = seeds["h264_sound.mp4"]
    head = clip[: int(rng.choice([4, 32, 200]))]
    return ".mp4", head + script if rng.random() < 0.5 else script + b"\n" + clip
