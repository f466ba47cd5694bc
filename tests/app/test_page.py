"""The page over real HTTP, with a scorer that answers at once: who comes in, and what is left."""

from __future__ import annotations

import base64
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import uvicorn

from tiktok_virality.app.page.desk import Desk, DeskLimits, RefusedError
from tiktok_virality.app.page.serving import _listening, open_page
from tiktok_virality.app.page.web import is_loopback, make_app
from tiktok_virality.schema import DataError, ProjectError
from tiktok_virality.serving.scorer import Answer, Draft

FACTS = {
    "corpus": {"clips": 9, "creators": 3, "synthetic": True, "skill": None},
    "landscape": {"name": "views", "low": 0.0, "high": 9.0, "counts": [1, 2], "ticks": []},
}


class Critic:
    """Scores a clip by its size, and notes where clips lay."""

    def __init__(self) -> None:
        self.folders: set[Path] = set()
        self.at_once = 0
        self.most_at_once = 0

    def __call__(self, drafts: list[Draft]) -> Iterator[Answer]:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        contents = {draft.name: draft.path.read_bytes() for draft in drafts}
        self.folders |= {draft.path.parent for draft in drafts}
        self.at_once -= 1
        if b"text" in contents.values():
            raise DataError("No clip can be scored.\n  notes: unreadable: Invalid data")
        if b"fault" in contents.values():
            raise ZeroDivisionError("/secret/place")
        rows = [
            {"video_id": name, "expected": float(len(content)), "low": float("nan")}
            | {"high": float("nan"), "lower": 1.0, "upper": 3.0, "prediction": 2.0 + len(content)}
            | {"caption": draft.caption}
            for (name, content), draft in zip(contents.items(), drafts, strict=True)
        ]
        yield Answer(scores=pd.DataFrame(rows), unscored=pd.DataFrame())


class Visitor:
    """Asks the page."""

    def __init__(self, port: int, **headers: str) -> None:
        self.port = port
        self.headers = headers

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(method, path, body, {**self.headers, **headers})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        is_json = "json" in (response.getheader("content-type") or "")
        return response.status, json.loads(content) if is_json and content else content

    def score(self, *clips: tuple[str, bytes], caption: str = "") -> dict[str, Any]:
        return self.wait(self.send(*clips, caption=caption))

    def send(self, *clips: tuple[str, bytes], caption: str = "") -> str:
        job = self.ask("POST", "/jobs")[1]["job"]
        for name, content in clips:
            status, told = self.ask("PUT", f"/jobs/{job}/clips?name={name}", content)
            assert status == 204, told
        assert self.ask("POST", f"/jobs/{job}/start", caption.encode())[0] == 202
        return str(job)

    def wait(
        self,
        job: str,
        enough: Callable[[dict[str, Any]], bool] = lambda told: told["state"] in ("done", "failed"),
    ) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            told = self.ask("GET", f"/jobs/{job}")[1]
            if enough(told):
                return told
        raise AssertionError(told)


@contextmanager
def serving(
    critic: Callable[[list[Draft]], Iterator[Answer]],
    limits: DeskLimits | None = None,
    password: str | None = None,
) -> Iterator[int]:
    app = make_app(Desk(critic, limits), FACTS, ["127.0.0.1"], password)
    with _listening("127.0.0.1", 0) as place:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [place]})
        thread.start()
        try:
            yield place.getsockname()[1]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="module")
def critic() -> Critic:
    return Critic()


@pytest.fixture(scope="module")
def port(critic) -> Iterator[int]:
    limits = DeskLimits(clip_bytes=1000, clips=3, caption_characters=20)
    with serving(critic, limits) as port:
        yield port


@pytest.fixture
def visitor(port) -> Visitor:
    return Visitor(port)


def test_an_answer_is_told_before_what_moves_it_is_known(critic):
    asked = threading.Event()

    def slowly(drafts: list[Draft]) -> Iterator[Answer]:
        [answer] = critic(drafts)
        yield answer
        assert asked.wait(30)
        why = {name: {"moments": [1]} for name in answer.scores["video_id"]}
        yield replace(answer, explanations=why)

    with serving(slowly) as port:
        visitor = Visitor(port)
        job = visitor.send(("clip.mp4", b"12345"))
        early = visitor.wait(job, lambda told: "clips" in told)
        assert early["state"] == "working"
        assert (early["clips"][0]["expected"], early["clips"][0]["why"]) == (5, None)
        asked.set()
        late = visitor.wait(job)
    assert late["state"] == "done"
    assert late["clips"][0] == early["clips"][0] | {"why": {"moments": [1]}}


def test_a_clip_is_scored_and_deleted(visitor, critic):
    told = visitor.score(("my%20clip.mp4", b"12345"), caption="hello")
    [clip] = told["clips"]
    assert (clip["video_id"], clip["expected"], clip["caption"]) == ("my clip", 5, "hello")
    assert clip["low"] is None and told["compared"] is None
    assert critic.folders and not any(folder.exists() for folder in critic.folders)


def test_two_clips_are_compared_and_equal_names_are_told_apart(visitor):
    told = visitor.score(("a.mp4", b"1"), ("a.MP4", b"123"))
    assert [clip["video_id"] for clip in told["clips"]] == ["a", "a (2)"]
    assert told["compared"]["better"] == "a (2)"


def test_twenty_visitors_at_once_all_get_their_own_answer(port, critic):
    def ask(size: int) -> bool:
        [clip] = Visitor(port).score((f"{size}.mp4", b"x" * size))["clips"]
        return clip["video_id"] == str(size) and clip["expected"] == size

    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(ask, range(1, 41)))
    assert critic.most_at_once == 1


@pytest.mark.parametrize(
    ("name", "content", "status", "message"),
    [
        ("notes.txt", b"1", 415, "no video by its name"),
        ("mp4", b"1", 415, "no video by its name"),
        ("large.mp4", b"x" * 1001, 413, "larger than"),
        ("empty.mp4", b"", 400, "is empty"),
    ],
)
def test_what_is_no_clip_is_refused_and_the_job_stays_open(visitor, name, content, status, message):
    job = visitor.ask("POST", "/jobs")[1]["job"]
    told = visitor.ask("PUT", f"/jobs/{job}/clips?name={name}", content)
    assert told[0] == status and message in told[1]["message"]
    assert visitor.ask("PUT", f"/jobs/{job}/clips?name=fine.mp4", b"1")[0] == 204
    assert visitor.ask("POST", f"/jobs/{job}/start", b"")[0] == 202


def test_a_path_in_a_name_leads_nowhere(visitor, tmp_path):
    told = visitor.score(("..%2F..%2Fetc%2Fpasswd.mp4", b"123"), ("C%3A%5Cx%5Cy.mp4", b"1"))
    assert [clip["video_id"] for clip in told["clips"]] == ["passwd", "y"]


def test_what_cannot_be_scored_is_said_and_faults_of_ours_give_nothing_away(visitor):
    failed = visitor.score(("notes.mp4", b"text"))
    assert failed["state"] == "failed" and "notes: unreadable" in failed["message"]
    ours = visitor.score(("clip.mp4", b"fault"))
    assert ours["state"] == "failed" and "secret" not in json.dumps(ours)
    assert visitor.score(("clip.mp4", b"fine"))["state"] == "done"


def test_limits_of_a_job(visitor):
    job = visitor.ask("POST", "/jobs")[1]["job"]
    assert visitor.ask("POST", f"/jobs/{job}/start", b"")[0] == 400
    for number in range(3):
        assert visitor.ask("PUT", f"/jobs/{job}/clips?name={number}.mp4", b"1")[0] == 204
    assert visitor.ask("PUT", f"/jobs/{job}/clips?name=4.mp4", b"1")[0] == 413
    assert visitor.ask("POST", f"/jobs/{job}/start", b"x" * 21)[0] == 413
    assert visitor.ask("POST", f"/jobs/{job}/start", b"x" * 100_000)[0] == 413
    assert visitor.ask("POST", f"/jobs/{job}/start", b"\xff")[0] == 400
    assert visitor.ask("POST", f"/jobs/{job}/start", b"fine")[0] == 202
    assert visitor.ask("PUT", f"/jobs/{job}/clips?name=5.mp4", b"1")[0] == 409
    assert visitor.wait(job)["state"] == "done"
    assert visitor.ask("DELETE", f"/jobs/{job}")[0] == 204
    assert visitor.ask("GET", f"/jobs/{job}")[0] == 404


@pytest.mark.parametrize(
    "path", ["/../etc/passwd", "/%2e%2e/etc/passwd", "/page/desk.py", "/jobs/nothing", "/static/"]
)
def test_no_file_of_the_server_is_reachable(visitor, path):
    assert visitor.ask("GET", path)[0] == 404


def test_another_site_cannot_ask_in_a_visitors_name(visitor, port):
    assert visitor.ask("POST", "/jobs", Origin="http://evil.example")[0] == 403
    assert visitor.ask("POST", "/jobs", Origin=f"http://127.0.0.1:{port}")[0] == 201
    assert visitor.ask("GET", "/", Host="evil.example")[0] == 400


def test_the_page_may_load_nothing_from_elsewhere(visitor, port):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/")
    response = connection.getresponse()
    policy = response.getheader("content-security-policy") or ""
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    text = response.read().decode()
    assert "Nothing here is about real videos" in text and "9 synthetic clips by 3" in text
    assert visitor.ask("GET", "/page.js")[0] == visitor.ask("GET", "/page.css")[0] == 200


def test_with_a_password_only_those_come_in_who_know_it(critic):
    with serving(critic, password="p:ss wörd") as port:
        assert Visitor(port).ask("GET", "/")[0] == 401
        for given, status in (("p:ss wörd", 200), ("wrong", 401)):
            known = base64.b64encode(f"anyone:{given}".encode()).decode()
            assert Visitor(port, Authorization=f"Basic {known}").ask("GET", "/")[0] == status
        assert Visitor(port, Authorization="Basic %%%").ask("POST", "/jobs")[0] == 401


def test_nobody_opens_a_page_to_others_without_a_password():
    assert is_loopback("127.0.0.1") and is_loopback("localhost") and is_loopback("::1")
    with pytest.raises(ProjectError, match="--password-file"):
        open_page(None, "0.0.0.0", 0, None, 1, said=print)  # type: ignore[arg-type]
    with _listening("127.0.0.1", 0) as place, pytest.raises(ProjectError, match="Another --port"):
        _listening("127.0.0.1", place.getsockname()[1])


def test_old_jobs_are_forgotten_and_there_are_never_too_many():
    now = [0.0]
    desk = Desk(Critic(), DeskLimits(jobs=2, seconds=10), clock=lambda: now[0])
    first = desk.open()
    folder = Path(desk.job(first).folder.name)
    desk.open()
    with pytest.raises(RefusedError, match="Too many people"):
        desk.open()
    now[0] = 11.0
    assert desk.open() != first
    assert not folder.exists()
    with pytest.raises(RefusedError, match="is gone"):
        desk.job(first)
