"""The scoring page in a real browser, with the models of a real run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.session.conftest import FirstRun

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromedriver") is None, reason="no chromedriver here"),
]

PATIENCE_SECONDS = 90
CAPTION = "my day with a lost cat #cats"


@pytest.fixture(scope="module")
def address(first_run: FirstRun) -> Iterator[str]:
    """The page of the project, served as a user does it."""
    command = [sys.executable, "-m", "tiktok_virality.app", "page", "--env", "demo"]
    page = subprocess.Popen(
        [*command, "--port", "0", "--max-megabytes", "2"],
        cwd=first_run.project.path,
        env={**os.environ, "PYTHONPATH": str(first_run.project.path / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert page.stdout is not None
    found = re.search(r"http://\S+?(?=\. )", page.stdout.readline())
    assert found is not None
    yield found.group()
    page.terminate()
    assert page.wait(30) is not None


@pytest.fixture(scope="module")
def clips(first_run: FirstRun) -> list[Path]:
    return sorted((first_run.data / "01_raw" / "videos").glob("*.mp4"))


@pytest.fixture
def browse(address: str) -> Iterator[Callable[..., Any]]:
    """Open the page in a browser of its own."""
    from selenium import webdriver

    opened = []

    def browse(width: int = 1200, height: int = 900) -> Any:
        options = webdriver.ChromeOptions()
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.binary_location = shutil.which("chromium") or ""
        driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        opened.append(driver)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        driver.get(address)
        return driver

    yield browse
    for driver in opened:
        driver.quit()


def send(driver: Any, *files: Path) -> None:
    one(driver, "#clips").send_keys("\n".join(map(str, files)))
    one(driver, "#caption").send_keys(CAPTION)
    one(driver, "#send").click()


def answered(driver: Any) -> Any:
    """Wait until there is a whole answer, or a complaint."""
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(driver, PATIENCE_SECONDS).until(
        lambda page: (
            one(page, "#trouble").text
            or (
                one(page, "#answer").is_displayed()
                and one(page, "#answer").get_attribute("aria-busy") == "false"
            )
        )
    )
    return one(driver, "#answer")


def one(driver: Any, selector: str) -> Any:
    return driver.find_element("css selector", selector)


def many(driver: Any, selector: str) -> list[Any]:
    return list(driver.find_elements("css selector", selector))


def test_a_clip_is_scored_as_the_command_scores_it_and_its_seconds_lead_into_it(
    browse, clips, first_run
):
    driver = browse()
    send(driver, clips[0])
    answered(driver)
    asked = ["score", str(clips[0]), "--env", "demo", "--caption", CAPTION, "--json"]
    said = subprocess.run(
        [sys.executable, "-m", "tiktok_virality.app", *asked],
        cwd=first_run.project.path,
        env={**os.environ, "PYTHONPATH": str(first_run.project.path / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    [clip] = json.loads(said.stdout)["clips"]
    number, suffix = re.fullmatch(r"([\d.]+)([KMB]?)", one(driver, ".figure b").text).groups()
    shown = float(number) * {"": 1, "K": 1e3, "M": 1e6, "B": 1e9}[suffix]
    assert shown == pytest.approx(clip["expected"], rel=0.01, abs=0.6)
    seconds = many(driver, ".timeline button")
    assert len(seconds) >= 3 and "on screen" in one(driver, ".card").text.lower()
    seconds[2].click()
    assert seconds[2].get_attribute("aria-pressed") == "true"
    assert one(driver, ".moment").text.startswith("0:02 to ")
    for video in many(driver, "video"):  # one that the browser cannot show is replaced by words
        assert driver.execute_script("return arguments[0].currentTime", video) == 2
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_what_cannot_be_scored_is_said_and_the_page_lives_on(browse, clips, tmp_path):
    notes, large = tmp_path / "notes.mp4", tmp_path / "large.mp4"
    notes.write_text("no video at all")
    large.write_bytes(b"x" * (3 * 2**20))
    driver = browse()
    send(driver, notes)
    answered(driver)
    assert "notes" in one(driver, "#trouble").text and "unreadable" in one(driver, "#trouble").text
    driver.refresh()
    send(driver, large)
    assert "large.mp4 is larger than 2 MB" in one(driver, "#trouble").text
    driver.refresh()
    send(driver, clips[0], notes)
    assert "notes is not scored" in answered(driver).text
    assert len(many(driver, ".card")) == 1


def test_two_visitors_at_once_each_get_their_own(browse, clips):
    drivers = [browse(), browse()]
    for driver, clip in zip(drivers, clips, strict=False):
        send(driver, clip)
    for driver, clip in zip(drivers, clips, strict=False):
        answered(driver)
        assert one(driver, "h2").text == clip.stem


def test_two_cuts_stand_beside_each_other_and_many_in_a_table(browse, clips):
    driver = browse()
    send(driver, *clips[:2])
    assert "is likelier to be watched more than" in answered(driver).text
    left, right = (card.rect for card in many(driver, ".card"))
    assert left["y"] == right["y"] and left["x"] < right["x"]
    driver.refresh()
    send(driver, *clips[:3])
    answered(driver)
    assert len(many(driver, "tbody tr")) == 3


def test_a_phone_shows_all_of_it_without_scrolling_sideways(browse, clips):
    driver = browse(390, 844)
    send(driver, clips[0])
    answered(driver)
    wide = driver.execute_script("return document.documentElement.scrollWidth")
    assert wide <= 390
    for button in (one(driver, "#send"), many(driver, ".timeline button")[0]):
        assert button.size["height"] >= 40


def test_the_keyboard_is_enough(browse, clips):
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    driver = browse()
    one(driver, "#clips").send_keys(str(clips[0]))

    def focused() -> Any:
        return driver.switch_to.active_element

    def press(keys: str) -> None:
        ActionChains(driver).send_keys(keys).perform()

    def tab_to(wanted: Callable[[Any], bool]) -> None:
        for _ in range(30):
            if wanted(focused()):
                return
            press(Keys.TAB)
        raise AssertionError(focused().get_attribute("outerHTML"))

    tab_to(lambda element: element.get_attribute("id") == "caption")
    press(CAPTION)
    tab_to(lambda element: element.get_attribute("id") == "send")
    press(Keys.ENTER)
    answered(driver)
    tab_to(lambda element: element.get_attribute("aria-pressed") is not None)
    press(Keys.SPACE)
    assert one(driver, ".moment").text.startswith("0:00 to ")
