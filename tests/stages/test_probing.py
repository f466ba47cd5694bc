from __future__ import annotations

import pytest

from tests.media.encoding import ffmpeg, h264, picture
from tests.stages.items import item_of
from tiktok_virality.execution import Done, Failed
from tiktok_virality.media.clip import VideoFiles
from tiktok_virality.stages.probing import ProbeVideos, video_items


def files(folder) -> VideoFiles:
    return VideoFiles(folder, [item_of(path).payload for path in sorted(folder.glob("*.mp4"))])


def test_a_probe_becomes_columns_and_a_broken_file_fails_alone(tmp_path):
    ffmpeg(*picture(1), *h264(), tmp_path / "a.mp4")
    (tmp_path / "b.mp4").touch()
    good, bad = ProbeVideos()(video_items(files(tmp_path)))
    assert isinstance(good, Done)
    assert good.columns["frame_count"] == 30
    assert isinstance(bad, Failed)
    assert (bad.video_id, bad.reason) == ("b", "unreadable")


def test_an_item_changes_with_its_file(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("one")
    (before,) = video_items(files(tmp_path))
    path.write_text("another")
    (after,) = video_items(files(tmp_path))
    assert before.digest != after.digest


def test_items_follow_the_wanted_ids_and_digests(tmp_path):
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).touch()
    items = video_items(files(tmp_path), ids=["b"], digests={"b": "content"})
    assert [(item.video_id, item.digest) for item in items] == [("b", "content")]


def test_an_id_without_a_file_is_an_error(tmp_path):
    with pytest.raises(KeyError, match="gone"):
        video_items(files(tmp_path), ids=["gone"])
