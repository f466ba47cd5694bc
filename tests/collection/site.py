"""A site on loopback that behaves as the real one does, and misbehaves on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.collection.clips import clip

POSTED = 1_717_200_000
PAGE_SIZE = 3
DRIP_SECONDS = 0.05
Fault = Callable[["Handler"], None]


@dataclass(frozen=True)
class Post:
    """A video of the site."""

    number: int
    hashtag: str

    @property
    def video_id(self) -> str:
        return str((POSTED + 3600 * self.number << 32) + self.number)

    @property
    def creator(self) -> str:
        return f"maker.{self.number % 40:02d}"

    @property
    def views(self) -> int:
        return 1000 + 37 * self.number

    @property
    def body(self) -> bytes:
        return clip(self.number)


@dataclass
class Rule:
    """What goes wrong, where, and how often."""

    pattern: re.Pattern[str]
    fault: Fault
    times: int


@dataclass
class LocalSite:
    """The posts, what goes wrong, and what was asked for.

    Attributes:
        posts: By id.
        asked: The path of every request, in order.
        cookies: What came with each.
        whole: How often the end of each video's file was sent.
        resumed: From which byte on a part of a file was asked for.
        views_more: How many views each video has had since.
    """

    posts: Mapping[str, Post]
    address: str = ""
    asked: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)
    whole: Counter[str] = field(default_factory=Counter)
    resumed: dict[str, int] = field(default_factory=dict)
    views_more: int = 0
    rules: list[Rule] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)

    def fail(self, pattern: str, fault: Fault, times: int = 1_000_000) -> None:
        """Let requests whose path matches go wrong."""
        self.rules.append(Rule(re.compile(pattern), fault, times))

    def pages_asked(self, kind: str) -> list[str]:
        return [path for path in self.asked if kind in path]

    def of(self, hashtag: str) -> list[Post]:
        return [post for post in self.posts.values() if post.hashtag == hashtag]

    def fault_for(self, path: str) -> Fault | None:
        for rule in self.rules:
            if rule.times and rule.pattern.search(path):
                rule.times -= 1
                return rule.fault
        return None


@contextmanager
def serve(hashtags: Mapping[str, int]) -> Iterator[LocalSite]:
    """Run a site with so many videos for each hashtag."""
    names = [name for name, count in hashtags.items() for _ in range(count)]
    posts = [Post(number, name) for number, name in enumerate(names)]
    site = LocalSite({post.video_id: post for post in posts})
    server = QuietServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"site": site}))
    site.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class QuietServer(ThreadingHTTPServer):
    """Says nothing of visitors who hang up."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms for an acknowledgement
    site: LocalSite

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":
            self.send_page("", 404)
            return
        self.site.asked.append(self.path)
        self.site.cookies.append(self.headers.get("Cookie", ""))
        fault = self.site.fault_for(self.path)
        try:
            (fault or Handler.answer)(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def answer(self) -> None:
        """Answer as the real site does."""
        path = urlsplit(self.path).path
        if video := re.fullmatch(r"/@[\w.-]*/video/(\d+)", path):
            self.send_video_page(self.site.posts[video[1]])
        elif tag := re.fullmatch(r"/tag/(\w+)", path):
            self.send_page(hashtag_page(tag[1], len(self.site.of(tag[1]))))
        elif path == "/api/challenge/item_list/":
            self.send_items()
        elif media := re.fullmatch(r"/media/(\d+)\.mp4", path):
            self.send_media(self.site.posts[media[1]])
        else:
            self.send_page("nothing here", 404)

    def post(self) -> Post:
        """The video that the request is about."""
        return self.site.posts[re.search(r"\d{15,}", self.path)[0]]

    def send_page(
        self, text: str, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_video_page(self, post: Post) -> None:
        item = item_struct(post, self.site.address, self.site.views_more)
        self.send_page(universal_page({"itemInfo": {"itemStruct": item}, "statusCode": 0}))

    def send_items(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        start = int(query["cursor"][0])
        posts = self.site.of(query["challengeName"][0])
        shown = [
            {"id": post.video_id, "author": {"uniqueId": post.creator}}
            for post in posts[start : start + PAGE_SIZE]
        ]
        more = start + PAGE_SIZE < len(posts)
        self.send_page(json.dumps({"itemList": shown, "hasMore": more}))

    def send_media(self, post: Post) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(wanted[1]) if wanted else 0
        size = len(post.body)
        if start >= size:
            self.send_page("", 416, {"Content-Range": f"bytes */{size}"})
            return
        if start:
            self.site.resumed[post.video_id] = start
        self.start_media(size - start, f"bytes {start}-{size - 1}/{size}" if wanted else None)
        self.wfile.write(post.body[start:])
        self.wfile.flush()
        self.site.whole[post.video_id] += 1

    def start_media(self, length: int, content_range: str | None = None) -> None:
        self.send_response(206 if content_range else 200)
        self.send_header("Content-Type", "video/mp4")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(length))
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()


def too_many_requests(retry_after: str) -> Fault:
    return lambda handler: handler.send_page("slow down", 429, {"Retry-After": retry_after})


def forbidden(handler: Handler) -> None:
    handler.send_page("Access Denied", 403)


def out_of_order(handler: Handler) -> None:
    handler.send_page("", 503)


def captcha(handler: Handler) -> None:
    handler.send_page(CAPTCHA_PAGE)


def consent_dialog(handler: Handler) -> None:
    """Show nothing before the visitor has answered."""
    tag = handler.path.rpartition("/")[2]
    handler.send_page(hashtag_page(tag, len(handler.site.of(tag)), consent=True))


def redirect_loop(handler: Handler) -> None:
    handler.send_page("", 302, {"Location": handler.path})


def truncated(handler: Handler) -> None:
    """Promise all of a file, and hang up in the middle."""
    body = handler.post().body
    handler.start_media(len(body))
    handler.wfile.write(body[: len(body) // 2])
    handler.close_connection = True


def half_file(handler: Handler) -> None:
    """Send half of a file as if it were all."""
    body = handler.post().body[: len(handler.post().body) * 2 // 3]
    handler.start_media(len(body))
    handler.wfile.write(body)


def slow_drip(handler: Handler) -> None:
    body = handler.post().body
    handler.start_media(len(body))
    for byte in body:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        if handler.site.closing.wait(DRIP_SECONDS):
            return


def changed_layout(handler: Handler) -> None:
    if "/video/" in handler.path:
        item = item_struct(handler.post(), handler.site.address)
        item["statistics"] = item.pop("stats")
        handler.send_page(universal_page({"itemInfo": {"itemStruct": item}, "statusCode": 0}))
        return
    tag = handler.path.rpartition("/")[2]
    page = hashtag_page(tag, len(handler.site.of(tag)))
    handler.send_page(page.replace("/video/${", "/v/${"))


def old_layout_of_hashtag(handler: Handler) -> None:
    handler.send_page(script_page("SIGI_STATE", {"ChallengePage": {"statusCode": 0}}))


def captcha_in_list(handler: Handler) -> None:
    """Send a puzzle where the page expects more videos; the page shows it."""
    handler.send_page(json.dumps({"captcha": CAPTCHA_BOX, "itemList": [], "hasMore": False}))


def old_layout(handler: Handler) -> None:
    item = item_struct(handler.post(), handler.site.address)
    author = item.pop("author")
    item |= {"author": author["uniqueId"], "authorId": author["id"], "nickname": author["nickname"]}
    state = {"ItemModule": {item["id"]: item}, "VideoPage": {"statusCode": 0}}
    handler.send_page(script_page("SIGI_STATE", state))


def deleted(handler: Handler) -> None:
    handler.send_page(universal_page({"statusCode": 10204, "statusMsg": "item doesn't exist"}))


def private(handler: Handler) -> None:
    handler.send_page(universal_page({"statusCode": 10216, "statusMsg": "author_secret"}))


def item_struct(post: Post, address: str, views_more: int = 0) -> dict[str, Any]:
    """Return the embedded state of a video, with the site's own keys."""
    source = f"{address}/media/{post.video_id}.mp4"
    music = {"id": "71", "title": f"original sound - {post.creator}", "authorName": post.creator}
    return {
        "id": post.video_id,
        "desc": f"A thing that I saw #{post.hashtag} with @{post.creator} & <others>",
        "createTime": str(POSTED + 3600 * post.number),
        "author": {
            "id": f"68{post.number:017d}",
            "uniqueId": post.creator,
            "nickname": post.creator.upper(),
            "secUid": f"MS4w{post.creator}",
        },
        "music": {**music, "original": True, "duration": 1},
        "challenges": [{"id": "1", "title": post.hashtag}],
        "textExtra": [{"hashtagName": post.hashtag}],
        "stats": {
            "playCount": post.views + views_more,
            "diggCount": post.views // 10,
            "commentCount": post.views // 100,
            "shareCount": post.views // 50,
            "collectCount": str(post.views // 40),
        },
        "video": {"id": post.video_id, "width": 96, "height": 160, "duration": 1, "ratio": "720p"}
        | {"playAddr": source, "downloadAddr": source, "format": "mp4"},
    }


def universal_page(detail: Mapping[str, Any]) -> str:
    scope = {"webapp.app-context": {"language": "en"}, "webapp.video-detail": detail}
    return script_page("__UNIVERSAL_DATA_FOR_REHYDRATION__", {"__DEFAULT_SCOPE__": scope})


def script_page(name: str, state: Mapping[str, Any]) -> str:
    text = json.dumps(state).replace("<", "\\u003C")
    return (
        "<!DOCTYPE html><html><head><title>A site</title></head><body><div id='app'></div>"
        f'<script id="{name}" type="application/json">{text}</script></body></html>'
    )


CAPTCHA_BOX = (
    '<div id="captcha-verify-container-main-page" class="captcha-verify-container">'
    "Drag the slider to fit the puzzle</div>"
)
CAPTCHA_PAGE = f"<!DOCTYPE html><html><head></head><body>{CAPTCHA_BOX}</body></html>"

HASHTAG_SCRIPT = """
const list = document.getElementById('list');
let cursor = 0, busy = false, more = true;
async function load() {
  if (busy || !more) return;
  busy = true;
  const answer = await fetch(`/api/challenge/item_list/?challengeName=TAG&cursor=${cursor}`);
  busy = false;
  if (!answer.ok) return;
  const page = await answer.json();
  if (page.captcha) document.body.insertAdjacentHTML('beforeend', page.captcha);
  for (const item of page.itemList) {
    const box = document.createElement('div');
    box.dataset.e2e = 'challenge-item';
    box.style.height = '900px';
    box.innerHTML = `<a href="/@${item.author.uniqueId}/video/${item.id}">video</a>`;
    list.append(box);
  }
  cursor += page.itemList.length; more = page.hasMore;
}
addEventListener('scroll', () => {
  if (scrollY + innerHeight > document.documentElement.scrollHeight - 100) load();
});
"""

CONSENT_SCRIPT = """
const banner = document.createElement('tiktok-cookie-banner');
banner.attachShadow({mode: 'open'}).innerHTML =
  '<button id="all">Allow all</button><button id="none">Decline optional cookies</button>';
banner.shadowRoot.getElementById('none').onclick = () => { banner.remove(); load(); };
document.body.append(banner);
"""


def hashtag_page(tag: str, count: int, consent: bool = False) -> str:
    challenge = {"challenge": {"id": "9", "title": tag}, "stats": {"videoCount": count}}
    detail = {"challengeInfo": challenge, "statusCode": 0 if count else 10205}
    state = json.dumps({"__DEFAULT_SCOPE__": {"webapp.challenge-detail": detail}})
    script = HASHTAG_SCRIPT.replace("TAG", tag) + (CONSENT_SCRIPT if consent else "load();")
    return (
        f"<!DOCTYPE html><html><head><title>#{tag}</title></head><body><div id='list'></div>"
        f'<script id="__UNIVERSAL_DATA_FOR_REHYDRATION__" type="application/json">{state}</script>'
        f"<script>{script}</script></body></html>"
    )


def wants_computation(handler: Handler) -> None:
    """Show the page of the site's firewall, with a puzzle for programs."""
    salt = b"salt"
    goal = hashlib.sha256(salt + b"77").digest()
    parts = {"a": base64.b64encode(salt).decode(), "c": base64.b64encode(goal).decode()}
    puzzle = base64.b64encode(json.dumps({"v": parts}).encode()).decode().rstrip("=")
    handler.send_page(
        "<html><head><title>Please wait...</title></head><body>"
        f'<p id="cs" class="{puzzle}"></p><p id="wci" class="_wafchallengeid"></p></body></html>'
    )
