"""Requests that wait are scored together, and each is answered as if it had come alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pandas as pd
import pytest

from tiktok_virality.schema import DataError
from tiktok_virality.serving.scorer import Answer, Draft
from tiktok_virality.serving.together import ScoredTogether

PATIENCE_SECONDS = 30


class Clerk:
    """Stands in for a scorer, whose models take minutes to train: says how long a name is.

    Args:
        expected: Requests that must be waiting before the first batch is answered.
    """

    def __init__(self, expected: int = 0) -> None:
        self.batches: list[int] = []
        self.expected = expected
        self.all_wait = Event()

    def score(self, drafts: Sequence[Draft]) -> Answer:
        self.batches.append(len(drafts))
        if len(self.batches) == 1 and self.expected:
            assert self.all_wait.wait(PATIENCE_SECONDS)
        if any("poison" in draft.path.name for draft in drafts):
            raise DataError("no clip can be scored: " + ", ".join(d.path.name for d in drafts))
        read = [draft for draft in drafts if "broken" not in draft.path.name]
        lost = [draft for draft in drafts if "broken" in draft.path.name]
        return Answer(
            scores=pd.DataFrame(
                {
                    "video_id": [draft.name for draft in read],
                    "prediction": [float(len(draft.path.name)) for draft in read],
                    "caption": [draft.caption for draft in read],
                }
            ),
            unscored=pd.DataFrame(
                {"video_id": [d.name for d in lost], "detail": [d.path.name for d in lost]}
            ),
        )


def draft(name: str) -> Draft:
    return Draft(path=Path(name), caption=f"of {name}", title="clip")


def score_at_once(clerk: Clerk, requests: Sequence[Sequence[str]], most: int) -> list[object]:
    """Send the first request, then the others while it is under way; return what each is told."""
    together = ScoredTogether(clerk.score, most)

    def ask(names: Sequence[str]) -> object:
        try:
            return together.score([draft(name) for name in names])
        except DataError as error:
            return error

    with ThreadPoolExecutor(len(requests)) as pool:
        first = pool.submit(ask, requests[0])
        while not clerk.batches:
            pass
        others = [pool.submit(ask, names) for names in requests[1:]]
        while len(together._waiting) < len(others):
            pass
        clerk.all_wait.set()
        return [future.result(PATIENCE_SECONDS) for future in (first, *others)]


def test_those_that_wait_are_scored_together_and_told_of_their_own_clips():
    names = [["a.mp4"], *([f"{'b' * length}.mp4"] for length in range(1, 8))]
    clerk = Clerk(expected=7)
    answers = score_at_once(clerk, names, most=5)
    assert clerk.batches == [1, 5, 2]
    for [name], answer in zip(names, answers, strict=True):
        [row] = answer.scores.to_dict("records")
        assert row == {"video_id": "clip", "prediction": len(name), "caption": f"of {name}"}
        assert answer.unscored.empty


def test_a_clip_that_cannot_be_read_is_told_to_whom_it_belongs():
    clerk = Clerk(expected=2)
    _, fine, half = score_at_once(clerk, [["a.mp4"], ["b.mp4"], ["c.mp4", "broken.mp4"]], most=8)
    assert clerk.batches == [1, 3]
    assert len(fine.scores) == 1 and fine.unscored.empty
    assert half.scores["caption"].tolist() == ["of c.mp4"]
    assert half.unscored["detail"].tolist() == ["broken.mp4"]


def test_an_error_reaches_nobody_but_the_one_to_blame():
    clerk = Clerk(expected=2)
    _, blamed, fine = score_at_once(clerk, [["a.mp4"], ["poison.mp4"], ["b.mp4"]], most=8)
    assert clerk.batches == [1, 2, 1, 1]
    assert str(blamed) == "no clip can be scored: poison.mp4"
    assert fine.scores["caption"].tolist() == ["of b.mp4"]


def test_a_request_of_more_clips_than_a_batch_holds_has_one_of_its_own():
    clerk = Clerk(expected=2)
    many = [f"{number}.mp4" for number in range(6)]
    *_, last = score_at_once(clerk, [["a.mp4"], many, ["b.mp4"]], most=4)
    assert clerk.batches == [1, 6, 1]
    assert last.scores["caption"].tolist() == ["of b.mp4"]


def test_an_interrupt_leaves_nobody_waiting():
    def interrupted(drafts: Sequence[Draft]) -> Answer:
        raise KeyboardInterrupt

    together = ScoredTogether(interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            together.score([draft("a.mp4")])
