"""A headless Chromium that shows pages as a visitor sees them."""

from __future__ import annotations

import ctypes
import http.cookiejar
import json
import logging
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tiktok_virality.collection import page_state
from tiktok_virality.collection.config import BrowserLimits, SiteAccess
from tiktok_virality.collection.errors import CollectionError, TryAgainError, VideoError
from tiktok_virality.collection.pacing import Pacer
from tiktok_virality.schema import ParameterError

if TYPE_CHECKING:
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver import Chrome

logger = logging.getLogger(__name__)

FLAGS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--mute-audio",
    "--window-size=1280,1600",
    "--lang=en-US",
    "--remote-debugging-pipe",  # so that the browser ends when its driver does
)
POLL_SECONDS: Final = 0.2
REFUSALS: Final = frozenset({403, 429})
WEB_SCHEMES: Final = ("http", "https")
"""Not those of the browser's own pages, as of a new tab, which may still be loading."""
NETWORK_EVENTS: Final = ("Network.responseReceived", "Network.loadingFailed")
MISSING: Final = (
    "Finding videos needs {what}. On Debian: apt-get install chromium chromium-driver; "
    "and for Python: pip install -c constraints.txt -e '.[collection]'"
)


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the site sent for a page.

    Attributes:
        status: HTTP status; ``None`` where the browser does not tell.
        headers: Names in lower case.
    """

    status: int | None
    headers: Mapping[str, str]


class Browser:
    """One window.

    Args:
        driver: Selenium's.
        limits: How long to wait.
        pacer: Says when the next page may be asked for.
    """

    def __init__(self, driver: Chrome, limits: BrowserLimits, pacer: Pacer) -> None:
        self._driver = driver
        self._limits = limits
        self._pacer = pacer

    def visit(self, url: str) -> Answer:
        """Open a page.

        Raises:
            TryAgainError: It does not come.
            VideoError: The site redirects in a circle.
        """
        from selenium.common.exceptions import TimeoutException, WebDriverException

        self._pacer.wait()
        self._network_events()
        try:
            self._driver.get(url)
        except TimeoutException as error:
            detail = f"no page within collection.browser.page_seconds={self._limits.page_seconds:g}"
            raise TryAgainError("unreachable", detail) from error
        except WebDriverException as error:
            raise _named((error.msg or "").partition("\n")[0]) from error
        events = [params for params in self._network_events() if params["type"] == "Document"]
        responses = [params["response"] for params in events if "response" in params]
        of_sites = [each for each in responses if urlsplit(each["url"]).scheme in WEB_SCHEMES]
        faults = [params["errorText"] for params in events if "errorText" in params]
        if faults and not of_sites:
            raise _named(faults[-1])
        return _answer(of_sites[-1] if of_sites else {})

    def page(self) -> str:
        """Return the page as it is now, as HTML."""
        return self._driver.page_source

    def video_ids(self) -> list[str]:
        """Return the ids of the videos that the page links to, in order."""
        script = "return [...document.querySelectorAll(arguments[0])].map(link => link.href)"
        return page_state.video_ids(self._driver.execute_script(script, page_state.LINK_SELECTOR))

    def shows_captcha(self) -> bool:
        """Tell whether a puzzle is shown."""
        script = "return document.querySelector(arguments[0]) !== null"
        return bool(self._driver.execute_script(script, page_state.CAPTCHA_SELECTOR))

    def wait_for_videos(self, more_than: int) -> bool:
        """Wait for more than so many videos, declining cookies where a dialog asks.

        Returns:
            Whether they came in time; a captcha ends the waiting.
        """
        seconds = self._limits.growth_seconds if more_than else self._limits.page_seconds
        self._wait(lambda: len(self.video_ids()) > more_than or self._is_stopped(), seconds)
        return len(self.video_ids()) > more_than

    def scroll_down(self) -> None:
        """Scroll to the end of the page, from a little above it, so that it is noticed."""
        self._pacer.wait()
        self._network_events()  # or they pile up
        self._driver.execute_script("window.scrollBy(0, -200)")
        self._driver.execute_script("window.scrollTo(0, document.documentElement.scrollHeight)")

    def refusal(self) -> Answer | None:
        """Return the last answer since the last scroll by which the site refused data to its page.

        Answers of other hosts do not count: they are not what the visitor came for.
        """
        host = urlsplit(self._driver.current_url).netloc
        responses = [each["response"] for each in self._network_events() if "response" in each]
        refused = [
            each
            for each in responses
            if each["status"] in REFUSALS and urlsplit(each["url"]).netloc == host
        ]
        return _answer(refused[-1]) if refused else None

    def _is_stopped(self) -> bool:
        button = self._driver.execute_script(page_state.CONSENT_SCRIPT)
        if button is not None:
            logger.info("Declining the site's optional cookies")
            self._driver.execute_script("arguments[0].click()", button)
        return self.shows_captcha()

    def _wait(self, condition: Callable[[], bool], seconds: float) -> bool:
        from selenium.common.exceptions import TimeoutException
        from selenium.webdriver.support.wait import WebDriverWait

        try:
            waiting = WebDriverWait(self._driver, seconds, poll_frequency=POLL_SECONDS)
            return bool(waiting.until(lambda _: condition()))
        except TimeoutException:
            return False

    def _network_events(self) -> list[dict[str, Any]]:
        """Return what came from the network, or failed to come, since the last call."""
        log: list[dict[str, Any]] = self._driver.get_log("performance")
        messages = [json.loads(entry["message"])["message"] for entry in log]
        return [each["params"] for each in messages if each["method"] in NETWORK_EVENTS]


def _answer(response: Mapping[str, Any]) -> Answer:
    headers = {name.lower(): str(value) for name, value in response.get("headers", {}).items()}
    return Answer(status=response.get("status"), headers=headers)


def _named(fault: str) -> TryAgainError | VideoError:
    """Return the project's error for a fault that Chromium names."""
    fault = fault.removeprefix("unknown error: ")
    if "ERR_TOO_MANY_REDIRECTS" in fault:
        return VideoError("redirect loop", f"{fault}: the site redirects in a circle")
    return TryAgainError("unreachable", fault)


@contextmanager
def open_browser(access: SiteAccess, limits: BrowserLimits, pacer: Pacer) -> Iterator[Browser]:
    """Start Chromium with an empty profile, and end it.

    Raises:
        CollectionError: A program or package is missing; the message says how to install it.
        ParameterError: The cookies file cannot be used.
    """
    chromium, driver_path = _programs()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        driver = _start(chromium, driver_path, profile, access)
        try:
            driver.set_page_load_timeout(limits.page_seconds)
            if access.cookies_file is not None:
                cookies = {"cookies": read_browser_cookies(access.cookies_file)}
                driver.execute_cdp_cmd("Network.setCookies", cookies)
            yield Browser(driver, limits, pacer)
        finally:
            driver.quit()


def read_browser_cookies(path: Path) -> list[dict[str, Any]]:
    """Return the cookies of a file in Netscape's format, as Chromium takes them.

    Raises:
        ParameterError: There is no such file, or it is not in that format.
    """
    jar = http.cookiejar.MozillaCookieJar(path)
    try:
        jar.load(ignore_discard=True, ignore_expires=True)
    except OSError as error:  # LoadError is one, and would name the cookie
        cause = error.strerror or "it is not in Netscape's format"
        raise ParameterError(
            f"The credential cookies_file={path} cannot be used: {cause}"
        ) from None
    return [
        {
            "name": cookie.name,
            "value": cookie.value or "",
            "domain": cookie.domain,
            "path": cookie.path,
            "secure": cookie.secure,
            **({"expires": cookie.expires} if cookie.expires else {}),
        }
        for cookie in jar
    ]


def _programs() -> tuple[str, str]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        missing = [
            name for name, path in (("chromium", chromium), ("chromedriver", driver)) if not path
        ]
        raise CollectionError(MISSING.format(what=" and ".join(missing)))
    return chromium, driver


def _start(chromium: str, driver_path: str, profile: str, access: SiteAccess) -> Chrome:
    try:
        from selenium import webdriver
    except ModuleNotFoundError:
        raise CollectionError(MISSING.format(what="selenium")) from None
    from selenium.common.exceptions import WebDriverException

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.page_load_strategy = "eager"
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    if access.proxy_address:
        options.add_argument(f"--proxy-server={access.proxy_address}")
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    popen = {"preexec_fn": _end_with_parent} if sys.platform == "linux" else {}
    service = webdriver.ChromeService(driver_path, popen_kw=popen)
    try:
        return webdriver.Chrome(options, service)
    except WebDriverException as error:
        raise CollectionError(
            f"{chromium} does not start: {access.conceal(_first_line(error))} Try "
            "`chromium --headless --dump-dom about:blank`; chromium and chromium-driver must be "
            "of the same version."
        ) from error


def _first_line(error: WebDriverException) -> str:
    return (error.msg or "").partition("\n")[0]


def _end_with_parent() -> None:
    """Let the kernel end this process, the driver, when the run is killed outright."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
