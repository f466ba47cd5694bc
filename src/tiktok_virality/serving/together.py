"""Requests that come while others are scored are scored together, next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Condition
from typing import Final

import pandas as pd

from tiktok_virality.serving.scorer import Answer, Draft

MOST_TOGETHER: Final = 16
"""Clips of one batch: more would save little more, and the first would wait for the last."""

ScoreClips = Callable[[Sequence[Draft]], Answer]


@dataclass(eq=False)
class _Request:
    """What somebody asks, and what became of it."""

    drafts: Sequence[Draft]
    outcome: Answer | BaseException | None = None


class ScoredTogether:
    """Scores the clips of many threads, batch after batch, in the order in which they came.

    Each is answered as if it had come alone: an error stays with the request that is to blame.

    Args:
        score: Scores clips, called by one thread at a time.
        most: Clips of a batch; a request of more has one of its own.
    """

    def __init__(self, score: ScoreClips, most: int = MOST_TOGETHER) -> None:
        self._score = score
        self._most = most
        self._waiting: deque[_Request] = deque()
        self._is_busy = False
        self._changed = Condition()

    def score(self, drafts: Sequence[Draft]) -> Answer:
        """Score clips, with those of others if some wait.

        Args:
            drafts: At least one.

        Raises:
            DataError: As `Scorer.score` raises it of these clips.
        """
        mine = _Request(drafts)
        with self._changed:
            self._waiting.append(mine)
        while mine.outcome is None:
            if batch := self._next_batch(mine):
                self._answer(batch)
        if isinstance(mine.outcome, BaseException):
            raise mine.outcome
        return mine.outcome

    def _next_batch(self, mine: _Request) -> list[_Request]:
        """Wait until a request is answered, or it is time to score: then return what is next."""
        with self._changed:
            self._changed.wait_for(lambda: mine.outcome is not None or not self._is_busy)
            if mine.outcome is not None:
                return []
            self._is_busy = True
            batch = [self._waiting.popleft()]
            room = self._most - len(batch[0].drafts)
            while self._waiting and len(self._waiting[0].drafts) <= room:
                room -= len(self._waiting[0].drafts)
                batch.append(self._waiting.popleft())
            return batch

    def _answer(self, batch: list[_Request]) -> None:
        """Score a batch, and let all know."""
        try:
            outcomes = self._outcomes(batch)
        except BaseException as error:  # an interrupt: nobody may wait for ever
            outcomes = [error] * len(batch)
            raise
        finally:
            with self._changed:
                for request, outcome in zip(batch, outcomes, strict=True):
                    request.outcome = outcome
                self._is_busy = False
                self._changed.notify_all()

    def _outcomes(self, batch: Sequence[_Request]) -> list[Answer | BaseException]:
        """Return what becomes of each request; where they fail together, each is tried alone."""
        places = [(number, draft) for number, each in enumerate(batch) for draft in each.drafts]
        try:
            whole = self._score(
                [replace(draft, title=f"{row}") for row, (_, draft) in enumerate(places)]
            )
        except Exception as error:
            if len(batch) == 1:
                return [error]
            return [outcome for request in batch for outcome in self._outcomes([request])]
        return [
            _part(whole, [draft if owner == number else None for owner, draft in places])
            for number in range(len(batch))
        ]


def _part(whole: Answer, drafts: Sequence[Draft | None]) -> Answer:
    """Return what is said of some clips of a batch, under their own names.

    Args:
        whole: What is said of the batch; its clips are called by their places.
        drafts: By place; ``None`` where a clip is another's.
    """
    names = {f"{row}": draft.name for row, draft in enumerate(drafts) if draft is not None}

    def own(table: pd.DataFrame) -> pd.DataFrame:
        mine = table[table["video_id"].isin(list(names))]
        return mine.assign(video_id=mine["video_id"].map(names)).reset_index(drop=True)

    return Answer(scores=own(whole.scores), unscored=own(whole.unscored))
