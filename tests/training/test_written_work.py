"""Work that ranks read from a file is what the driver has written, or nothing."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tiktok_virality.schema import TrainingError
from tiktok_virality.training.ranks import Rank, WrittenWork

OPENED: list[str] = []


def say(rank: Rank) -> str:
    return f"rank {rank.index}"


class Malicious:
    def __reduce__(self):
        return OPENED.append, ("opened",)


def test_work_comes_back_as_it_was_written(tmp_path):
    written = WrittenWork.written(say, tmp_path / "work.pickle")
    assert written.read()(Rank(1, 2, print)) == "rank 1"


def test_what_somebody_else_has_put_there_is_never_unpickled(tmp_path):
    written = WrittenWork.written(say, tmp_path / "work.pickle")
    written.file.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(TrainingError, match="not what was written there"):
        written.read()
    assert OPENED == []


def test_a_machine_that_does_not_see_the_folder_says_so():
    written = WrittenWork(Path("/nonexistent/ranks/work.pickle"), "")
    with pytest.raises(TrainingError, match="needs the data folder under the same path"):
        written.read()
