"""Clips as requests name them: what is fetched, and what is refused."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tiktok_virality.schema import DataError
from tiktok_virality.serving import sources
from tiktok_virality.serving.sources import FOLDER_VARIABLE, fetch_clip

CONTENT = b"\x00\x01clip" * 300


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/on"):
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/secret")
            self.end_headers()
            return
        found = self.path.startswith("/clip")
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(CONTENT if found else b"no")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def loopback_is_public(monkeypatch) -> None:
    """Let the tests' own site be asked; everything else stays as it is."""
    check = sources._public_address
    monkeypatch.setattr(
        sources,
        "_public_address",
        lambda host, port: host if host == "127.0.0.1" else check(host, port),
    )


def test_a_file_of_the_named_folder_is_found_and_no_other(tmp_path, monkeypatch):
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / "a.mp4").write_bytes(CONTENT)
    (clips / "notes.txt").write_text("x")
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (clips / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(DataError, match=FOLDER_VARIABLE):
        fetch_clip("a.mp4", tmp_path / "0")
    monkeypatch.setenv(FOLDER_VARIABLE, str(clips))
    assert fetch_clip("a.mp4", tmp_path / "0").read_bytes() == CONTENT
    assert fetch_clip(str(clips / "a.mp4"), tmp_path / "0").read_bytes() == CONTENT
    for outside in ("../secret.mp4", str(tmp_path / "secret.mp4"), "link.mp4"):
        with pytest.raises(DataError, match="not below the folder"):
            fetch_clip(outside, tmp_path / "0")
    with pytest.raises(DataError, match="must end in"):
        fetch_clip("notes.txt", tmp_path / "0")
    with pytest.raises(DataError, match="There is no file"):
        fetch_clip("gone.mp4", tmp_path / "0")


@pytest.mark.parametrize("prefix", ["", "data:video/mp4;base64,"])
def test_content_in_base64_is_written_down(tmp_path, prefix):
    encoded = prefix + base64.b64encode(CONTENT).decode()
    assert fetch_clip(encoded, tmp_path / "0").read_bytes() == CONTENT


def test_what_is_no_base64_or_too_large_is_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="no base64"):
        fetch_clip("data:video/mp4;base64,###", tmp_path / "0")
    monkeypatch.setattr(sources, "MOST_BYTES", 100)
    with pytest.raises(DataError, match="larger than"):
        fetch_clip(base64.b64encode(CONTENT).decode(), tmp_path / "0")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("loopback_is_public")
def test_an_address_is_fetched_and_never_followed_elsewhere(site, tmp_path, monkeypatch):
    path = fetch_clip(f"{site}/clip.webm?x=1", tmp_path / "0")
    assert path.suffix == ".webm" and path.read_bytes() == CONTENT
    with pytest.raises(DataError, match="answers 302"):
        fetch_clip(f"{site}/on.mp4", tmp_path / "1")
    with pytest.raises(DataError, match="answers 404"):
        fetch_clip(f"{site}/gone.mp4", tmp_path / "2")
    monkeypatch.setattr(sources, "MOST_BYTES", 100)
    with pytest.raises(DataError, match="larger than"):
        fetch_clip(f"{site}/clip.mp4", tmp_path / "3")


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "[::1]", "10.0.0.1", "192.168.1.1", "169.254.169.254"),
        *("0.0.0.0", "[::ffff:127.0.0.1]", "[fd00::1]", "100.64.0.1", "2130706433"),
    ],
)
def test_a_private_network_is_not_asked(host, tmp_path):
    with pytest.raises(DataError, match=r"not in the public network|Nobody knows"):
        fetch_clip(f"http://{host}/clip.mp4", tmp_path / "0")


def test_a_name_that_leads_to_a_private_and_a_public_machine_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(sources, "look_up", lambda host, port: ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(DataError, match="not in the public network"):
        fetch_clip("https://two.example/clip.mp4", tmp_path / "0")


@pytest.mark.parametrize("address", ["http://", "http://x:99999/a.mp4", "file:///etc/passwd"])
def test_what_is_no_address_is_refused(address, tmp_path):
    with pytest.raises(DataError):
        fetch_clip(address, tmp_path / "0")
