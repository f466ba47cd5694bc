"""The desk of the page: takes clips in, has them scored job after job, and forgets them."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from tempfile import TemporaryDirectory
from threading import Lock, Thread
from typing import Any, Final, Literal

from tiktok_virality.datasets.video_folder import VIDEO_SUFFIXES
from tiktok_virality.schema import ProjectError
from tiktok_virality.serving.scorer import Answer, Draft

State = Literal["open", "waiting", "working", "done", "failed"]
Score = Callable[[Sequence[Draft]], Iterable[Answer]]

LONGEST_NAME: Final = 80
STOP: Final = ""
"""In the queue, in place of the name of a job."""

logger = logging.getLogger(__name__)


class RefusedError(Exception):
    """The desk does not take something.

    Args:
        status: As HTTP counts them.
        message: What is wrong, and what to do.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, kw_only=True)
class DeskLimits:
    """How much the desk takes.

    Attributes:
        clip_bytes: Of one clip.
        clips: Of one job.
        jobs: That are open, waiting or answered at once.
        total_bytes: Of all clips that lie here.
        seconds: After which a job is forgotten, answered or not, unless it is being worked on.
        caption_characters: Of a caption.
    """

    clip_bytes: int = 200 * 2**20
    clips: int = 20
    jobs: int = 100
    total_bytes: int = 2 * 2**30
    seconds: float = 1_800
    caption_characters: int = 5_000


@dataclass(kw_only=True)
class Job:
    """Some clips of one visitor.

    Attributes:
        folder: Where they lie until they are scored.
        clips: Their files, by the names that the visitor gave them.
        state: ``open`` while they come in.
        answer: What was said of them, once it was; while they are worked on, what is known so far.
        message: What went wrong, if something did.
    """

    folder: TemporaryDirectory[str]
    born: float
    clips: dict[str, Path] = field(default_factory=dict)
    caption: str | None = None
    size: int = 0
    state: State = "open"
    answer: Answer | None = None
    message: str | None = None


class Desk:
    """Keeps the jobs. Clips are deleted as soon as they are scored, answers some time later.

    Args:
        score: Scores clips, and says ever more of them; called by one thread.
        limits: How much is taken.
        clock: Tells seconds.
    """

    def __init__(
        self,
        score: Score,
        limits: DeskLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._score = score
        self.limits = limits or DeskLimits()
        self._clock = clock
        self._jobs: dict[str, Job] = {}
        self._waiting: Queue[str] = Queue()
        self._lock = Lock()
        self._worker = Thread(target=self._work, name="scoring", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._worker.start()

    def close(self) -> None:
        """Finish the job under way, and delete everything."""
        self._waiting.put(STOP)
        self._worker.join()
        for name in list(self._jobs):
            self.forget(name)

    def open(self) -> str:
        """Begin a job; return its name, which nobody can guess.

        Raises:
            RefusedError: There are too many.
        """
        with self._lock:
            self._forget_old()
            if len(self._jobs) >= self.limits.jobs:
                raise RefusedError(503, "Too many people are here. Try again in some minutes.")
            name = secrets.token_urlsafe(16)
            folder = TemporaryDirectory(prefix="page-", ignore_cleanup_errors=True)
            self._jobs[name] = Job(folder=folder, born=self._clock())
        return name

    def job(self, name: str) -> Job:
        """Return a job.

        Raises:
            RefusedError: There is none of that name, or not any more.
        """
        with self._lock:
            self._forget_old()
            if name not in self._jobs:
                raise RefusedError(404, "This answer is gone. Send the clip again.")
            return self._jobs[name]

    async def take(self, name: str, clip: str, content: AsyncIterator[bytes]) -> None:
        """Store a clip of a job.

        Args:
            name: Of the job.
            clip: What the visitor calls it; its end says that it is a video.
            content: What it holds, piece by piece.

        Raises:
            RefusedError: It is no video by its name, too large, empty, or one too many.
        """
        job = self._open_job(name)
        shown, suffix = _shown_name(clip)
        if suffix not in VIDEO_SUFFIXES:
            raise RefusedError(
                415, f"{shown} is no video by its name. It must end in {', '.join(VIDEO_SUFFIXES)}."
            )
        if len(job.clips) >= self.limits.clips:
            raise RefusedError(413, f"At most {self.limits.clips} clips at a time.")
        number = len(job.clips) + 1
        stem = shown.removesuffix(suffix)
        title = stem if stem not in job.clips else f"{stem} ({number})"
        path = Path(job.folder.name) / f"{len(job.clips)}{suffix}"
        job.clips[title] = path
        before = job.size
        try:
            with path.open("wb") as file:
                async for piece in content:
                    job.size += len(piece)
                    if job.size - before > self.limits.clip_bytes:
                        raise RefusedError(
                            413, f"{shown} is larger than {self.limits.clip_bytes // 2**20} MB."
                        )
                    if sum(each.size for each in self._jobs.values()) > self.limits.total_bytes:
                        raise RefusedError(503, "Too much is going on. Try again in some minutes.")
                    file.write(piece)
            if job.size == before:
                raise RefusedError(400, f"{shown} is empty.")
        except BaseException:
            job.clips.pop(title, None)
            path.unlink(missing_ok=True)
            job.size = before
            raise

    def ask(self, name: str, caption: str) -> None:
        """Have the clips of a job scored.

        Raises:
            RefusedError: There are none, or the caption is too long.
        """
        job = self._open_job(name)
        if not job.clips:
            raise RefusedError(400, "There is no clip yet.")
        if len(caption) > self.limits.caption_characters:
            raise RefusedError(
                413, f"The caption has more than {self.limits.caption_characters} characters."
            )
        job.caption, job.state = caption.strip() or None, "waiting"
        self._waiting.put(name)

    def ahead_of(self, name: str) -> int:
        """Return how many jobs come before one that waits."""
        waiting = [key for key, job in list(self._jobs.items()) if job.state == "waiting"]
        working = any(job.state == "working" for job in list(self._jobs.values()))
        return (waiting.index(name) if name in waiting else 0) + working

    def forget(self, name: str) -> None:
        """Delete a job and its clips."""
        job = self._jobs.pop(name, None)
        if job is not None:
            job.folder.cleanup()

    def _open_job(self, name: str) -> Job:
        job = self.job(name)
        if job.state != "open":
            raise RefusedError(409, "These clips are being scored already.")
        return job

    def _forget_old(self) -> None:
        oldest = self._clock() - self.limits.seconds
        old = [k for k, job in self._jobs.items() if job.born < oldest and job.state != "working"]
        for name in old:
            self.forget(name)

    def _work(self) -> None:
        while (name := self._waiting.get()) != STOP:
            job = self._jobs.get(name)
            if job is None:
                continue
            job.state = "working"
            state: State = "failed"
            try:
                for answer in self._score(self._drafts(job)):
                    job.answer = answer
                state = "done"
            except ProjectError as error:
                job.message = str(error)
            except Exception:  # the page lives on, and says so
                logger.exception("A clip could not be scored")
                job.message = "Something went wrong here, and was written to the log."
            job.folder.cleanup()
            job.size = 0
            job.state = state  # nobody is told before the clips are gone

    def _drafts(self, job: Job) -> list[Draft]:
        return [
            Draft(path=path, caption=job.caption, title=title) for title, path in job.clips.items()
        ]


def _shown_name(clip: str) -> tuple[str, str]:
    """Return a file's name without a path and without what no name should hold; and its ending."""
    bare = clip.replace("\\", "/").rsplit("/", 1)[-1]
    kept = "".join(letter for letter in bare if letter.isprintable()).strip(" .") or "clip"
    stem, dot, ending = kept.rpartition(".")
    suffix = f"{dot}{ending}".lower() if stem else ""
    stem = stem or kept
    return f"{stem[:LONGEST_NAME]}{suffix}", suffix


def told(job: Job, ahead: int, tell: Callable[[Answer], Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a visitor is told of a job."""
    answer = {} if job.answer is None or job.state == "failed" else tell(job.answer)
    return {"state": job.state, "ahead": ahead, "message": job.message, **answer}
