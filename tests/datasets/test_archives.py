"""What an archive of arrays forgets."""

from __future__ import annotations

import numpy as np
import pytest

from tiktok_virality.datasets import ArrayArchive
from tiktok_virality.datasets.forgetting import Forgotten
from tiktok_virality.evaluation.novelty import NoveltyModel


@pytest.fixture
def archive(tmp_path):
    return ArrayArchive(filepath=str(tmp_path / "arrays.npz"))


def forgotten(*ids: str) -> Forgotten:
    return Forgotten(videos=dict.fromkeys(ids, "gone"), creators={})


def test_the_rows_of_a_video_go_and_what_is_no_row_stays(archive):
    archive.save({"video_id": ["a", "b", "c"], "error": [1.0, 2.0, 3.0], "sizes": [[1, 2]]})
    assert archive.forget(forgotten("b", "z"), dry_run=True) == 1
    assert len(archive.load()["error"]) == 3
    assert archive.forget(forgotten("b", "z")) == 1
    assert archive.load()["error"].tolist() == [1, 3]
    assert archive.load()["sizes"].tolist() == [[1, 2]]


def test_a_video_goes_from_what_each_modality_compares_with(archive):
    model = NoveltyModel(
        training={"visual": np.eye(3), "audio": np.ones((2, 4))},
        neighbours=2,
        calibration=np.array([0.5, 1.0, 2.0]),
        ids={"visual": np.array(["a", "b", "c"]), "audio": np.array(["b", "c"])},
    )
    archive.save(model.to_arrays())
    assert archive.forget(forgotten("b")) == 1
    kept = NoveltyModel.from_arrays(archive.load())
    assert {name: ids.tolist() for name, ids in kept.ids.items()} == {
        "visual": ["a", "c"],
        "audio": ["c"],
    }
    assert kept.training["visual"].tolist() == [[1, 0, 0], [0, 0, 1]]
    assert kept.training["audio"].shape == (1, 4)
    assert len(kept.calibration) == 3
