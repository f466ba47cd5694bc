"""Serves the page until it is interrupted."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial

import uvicorn

from tiktok_virality.app.page.desk import Desk, DeskLimits
from tiktok_virality.app.page.web import is_loopback, make_app
from tiktok_virality.schema import ProjectError
from tiktok_virality.serving.scorer import Scorer

GRACE_SECONDS = 5


def open_page(
    scorer: Scorer,
    host: str,
    port: int,
    password: str | None,
    max_megabytes: int,
    *,
    said: Callable[[str], object],
) -> None:
    """Serve the page.

    Args:
        scorer: Scores the clips.
        host: Where to listen.
        port: 0 takes a free one.
        password: What visitors must give; ``None`` is enough where only this machine reaches it.
        max_megabytes: Of a clip.
        said: Told the address once the page is there.

    Raises:
        ProjectError: Others would reach a page without a password, or the port is taken.
    """
    if not password and not is_loopback(host):
        raise ProjectError(
            f"Others could reach a page on {host}. Give them a password with --password-file, or "
            "leave --host out: then only this machine reaches it."
        )
    desk = Desk(partial(scorer.answers, explain=True), DeskLimits(clip_bytes=max_megabytes * 2**20))
    hosts = ["*"] if password else ["127.0.0.1", "localhost", "[::1]", host]
    facts = {"corpus": scorer.corpus, "landscape": scorer.landscape()}
    app = make_app(desk, facts, hosts, password)
    with _listening(host, port) as place:
        shown = f"[{host}]" if ":" in host else host
        said(f"The page is at http://{shown}:{place.getsockname()[1]}. Ctrl+C ends it.")
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE_SECONDS
        )
        uvicorn.Server(config).run(sockets=[place])


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ProjectError: It cannot.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise ProjectError(
            f"Nobody can listen on {host}:{port}: {error.strerror}. Another --port may be free."
        ) from error
