"""Whatever is in a file, it is read to an end or refused with a reason, and nothing else happens.

No crash, no hang, no file opened outside of the folder, nobody called: the kernel says so.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile.corpus import (
    add_strange_files,
    families,
    hostile_clips,
    hostile_posts,
    strange_ids,
    write_posts,
)
from tests.hostile.damage import Seeds
from tests.hostile.everything import ReadEverything
from tests.hostile.ingestion import Ingestion
from tests.hostile.trap import Trap
from tiktok_virality.datasets import StageStore, VideoFolder
from tiktok_virality.execution import StagePlan
from tiktok_virality.pipelines.ingestion.manifest import REJECTION_REASONS
from tiktok_virality.stages.probing import video_items

SLOW_FAMILIES = {"endless_frames", "packed_blocks", "same_place", "huge_png", "matroska_tracks"}
"""Each has a test of its own, with a smaller file."""


def lay_out(folder: Path, count: int, seed: int, seeds: Seeds, trap: Trap) -> list[str]:
    """Write so many hostile clips; return their ids."""
    folder.mkdir(parents=True)
    ids = []
    for clip in hostile_clips(count + len(SLOW_FAMILIES), seed, seeds, trap):
        if clip.family not in SLOW_FAMILIES and len(ids) < count:
            (folder / f"{clip.video_id}{clip.suffix}").write_bytes(clip.content)
            ids.append(clip.video_id)
    return ids


def test_the_corpus_is_the_same_whenever_it_is_made(seeds, trap):
    one, other = (list(hostile_clips(60, 3, seeds, trap)) for _ in range(2))
    assert one == other
    assert {clip.family for clip in one} == set(families(trap))
    assert len({clip.content for clip in one}) > 50


def test_the_trap_notices(trap):
    import socket

    assert trap.sprung() == []
    trap.clip.read_bytes()
    with socket.create_connection(("127.0.0.1", trap.port)):
        pass
    assert len(trap.sprung()) >= 3


def test_fifty_hostile_clips_end_as_a_result_or_with_a_reason(tmp_path, seeds, trap):
    folder = tmp_path / "raw" / "videos"
    ids = lay_out(folder, 50, seed=1, seeds=seeds, trap=trap)
    store = StageStore(
        filepath=str(tmp_path / "read"),
        engine={"type": "local", "workers": 2},
        max_failure_share=1.0,
    )
    items = video_items(VideoFolder(filepath=str(folder)).load())
    store.save(StagePlan(items=items, transform=ReadEverything(), batch_size=5))
    entries = store.load().entries
    assert sorted(entries) == sorted(ids)
    assert {e.status for e in entries.values()} == {"done", "failed"}
    assert {e.reason for e in entries.values() if e.reason} <= set(REJECTION_REASONS)
    assert trap.sprung() == []


@pytest.mark.slow
def test_a_thousand_hostile_clips_and_posts_go_through_ingestion(tmp_path, seeds, trap):
    raw = tmp_path / "raw"
    (raw / "videos").mkdir(parents=True)
    ids = []
    for clip in hostile_clips(1000, 2, seeds, trap):
        (raw / "videos" / f"{clip.video_id}{clip.suffix}").write_bytes(clip.content)
        ids.append(clip.video_id)
    add_strange_files(raw / "videos", seeds["h264_sound.mp4"], trap)
    ids += strange_ids()
    write_posts(raw / "metadata.json", hostile_posts(ids, seed=2))
    done = Ingestion(raw, tmp_path / "work", seconds=300).run()
    assert set(ids) <= set(done.manifest["video_id"]) | set(done.rejects["video_id"])
    assert done.faults().empty, done.faults().to_string()
    assert trap.sprung() == []
    assert done.ledger["mib"].max() < 3_000
