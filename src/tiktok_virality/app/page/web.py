"""The page over HTTP: what may be asked, by whom, and what is answered."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from importlib.resources import files
from ipaddress import ip_address
from typing import Any, Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tiktok_virality.app import answers
from tiktok_virality.app.page.desk import Desk, RefusedError, told
from tiktok_virality.modalities import MODALITIES
from tiktok_virality.pipelines.reporting.json_values import json_ready
from tiktok_virality.pipelines.reporting.palette import colour
from tiktok_virality.serving.scorer import Answer

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; media-src blob:; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
READING: Final = ("GET", "HEAD")

Handler = Callable[[Request], Awaitable[Response]]


def make_app(
    desk: Desk, facts: Mapping[str, Any], hosts: list[str], password: str | None = None
) -> Starlette:
    """Return the page as an application.

    Args:
        desk: Takes clips and has them scored.
        facts: What is true of every answer: ``corpus`` and ``landscape`` of the scorer.
        hosts: Names by which it may be asked for; another site's name that leads here is refused.
        password: What visitors must give, with any name; ``None`` where nobody else can come.
    """
    page = _page(desk, facts)
    fixed = [
        Route(f"/{name}", _fixed(_read(name), kind), methods=["GET"])
        for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css"))
    ]
    guards = [Middleware(TrustedHostMiddleware, allowed_hosts=hosts), Middleware(_Guard, password)]

    @asynccontextmanager
    async def working(_: Starlette) -> AsyncIterator[None]:
        desk.start()
        try:
            yield
        finally:
            desk.close()

    return Starlette(
        routes=[
            Route("/", _fixed(page, "text/html"), methods=["GET"]),
            *fixed,
            Route("/jobs", _opened(desk), methods=["POST"]),
            Route("/jobs/{name}/clips", _taken(desk), methods=["PUT"]),
            Route("/jobs/{name}/start", _asked(desk), methods=["POST"]),
            Route("/jobs/{name}", _told(desk), methods=["GET"]),
            Route("/jobs/{name}", _forgotten(desk), methods=["DELETE"]),
        ],
        middleware=guards,
        exception_handlers={RefusedError: _refused, ClientDisconnect: _gone},
        lifespan=working,
    )


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a host."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def tell(answer: Answer) -> dict[str, Any]:
    """Return an answer as the page reads it."""
    clips = [
        {**row, "why": answer.explanations.get(row["video_id"])}
        for row in answer.scores.to_dict("records")
    ]
    two = len(clips) == 2 and answer.unscored.empty
    return {
        "clips": json_ready(clips),
        "unscored": answers.complaints(answer.unscored),
        "compared": json_ready(asdict(answers.compare(answer.scores))) if two else None,
    }


class _Guard:
    """Lets in who knows the password, nothing that another site sends, and adds the headers."""

    def __init__(self, app: ASGIApp, password: str | None) -> None:
        self._app = app
        self._password = password

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                added = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, request: Request) -> Response | None:
        if self._password is not None and not self._knows(request):
            asked = {"WWW-Authenticate": 'Basic realm="tiktok_virality", charset="UTF-8"'}
            return _sorry(401, "Sign in with the password of this page; any name will do.", asked)
        origin = request.headers.get("origin")
        own = f"{request.url.scheme}://{request.url.netloc}"
        if request.method not in READING and origin is not None and origin != own:
            return _sorry(403, "Another page cannot ask in your name.")
        return None

    def _knows(self, request: Request) -> bool:
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return False
        try:
            _, _, password = base64.b64decode(given).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return False
        return secrets.compare_digest(password.encode(), (self._password or "").encode())


def _opened(desk: Desk) -> Handler:
    async def opened(_: Request) -> Response:
        return JSONResponse({"job": desk.open()}, 201)

    return opened


def _taken(desk: Desk) -> Handler:
    async def taken(request: Request) -> Response:
        name = request.query_params.get("name", "")
        await desk.take(request.path_params["name"], name, request.stream())
        return Response(status_code=204)

    return taken


def _asked(desk: Desk) -> Handler:
    async def asked(request: Request) -> Response:
        most = 4 * desk.limits.caption_characters + 1_000
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise RefusedError(413, "The caption is too long.")
        try:
            caption = body.decode()
        except UnicodeDecodeError:
            raise RefusedError(400, "The caption is no UTF-8.") from None
        desk.ask(request.path_params["name"], caption)
        return Response(status_code=202)

    return asked


def _told(desk: Desk) -> Handler:
    async def of_job(request: Request) -> Response:
        name = request.path_params["name"]
        return JSONResponse(told(desk.job(name), desk.ahead_of(name), tell))

    return of_job


def _forgotten(desk: Desk) -> Handler:
    async def forgotten(request: Request) -> Response:
        job = desk.job(request.path_params["name"])
        if job.state != "working":
            desk.forget(request.path_params["name"])
        return Response(status_code=204)

    return forgotten


def _fixed(content: str, kind: str) -> Handler:
    async def fixed(_: Request) -> Response:
        return HTMLResponse(content, media_type=kind)

    return fixed


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return _sorry(error.status, error.message)


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=499)


def _sorry(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    return JSONResponse({"message": message}, status, headers=headers)


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _page(desk: Desk, facts: Mapping[str, Any]) -> str:
    from jinja2 import Environment

    template = Environment(autoescape=True).from_string(_read("page.html.j2"))
    modalities = {
        name: {"words": modality.words, "colour": colour(name)}
        for name, modality in MODALITIES.items()
    }
    return template.render(
        facts={**facts, "modalities": modalities, "limits": asdict(desk.limits)},
        corpus=facts["corpus"],
        speaks_of=answers.speaks_of(facts["corpus"]).split("\n"),
        megabytes=desk.limits.clip_bytes // 2**20,
        most=desk.limits.clips,
    )
