"""Takes the pictures of the documentation anew, in a real browser: `make pictures`.

Needs `make run` before, and Debian's chromium and chromium-driver.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
REPORTING = ROOT / "data" / "demo" / "08_reporting"
CLIPS = ROOT / "data" / "demo" / "01_raw" / "videos"
MODELS = "/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=models"
CAPTION = "my day with a lost cat #cats"
PATIENCE_SECONDS = 180
WITHOUT_TOUR = """
// Kedro-Viz greets whoever is new with a tour and its news.
const step = [...document.querySelectorAll("*")].find(each => each.textContent === "1 of 6");
let tour = step;
const floats = each => ["fixed", "absolute"].includes(getComputedStyle(each).position);
while (tour && tour.parentElement && !floats(tour)) tour = tour.parentElement;
if (tour) tour.remove();
for (const each of document.querySelectorAll(
  "[class*=tour], [class*=highlight], [class*=update-reminder]")) each.remove();
"""
SETTLED_SECONDS = 4
"""What is drawn by scripts is there by then, on a slow machine too."""


def main() -> None:
    """Take them all, or those that are named: `docs/pictures.py report page`."""
    from selenium import webdriver

    wanted = sys.argv[1:] or list(PICTURES)
    for name in wanted:
        options = webdriver.ChromeOptions()
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(flag)
        options.add_argument("--hide-scrollbars")
        options.binary_location = shutil.which("chromium") or ""
        browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            PICTURES[name](browser)
        finally:
            browser.quit()
        sys.stdout.write(f"docs/{name}.png\n")


def stored(name: str, width: int, height: int, browser: Any) -> None:
    """Take the first screen of a page that the run has written."""
    size(browser, width, height)
    browser.get((REPORTING / f"{name}.html").as_uri())
    take(browser, name)


def page(browser: Any) -> None:
    """Take the whole answer about a clip."""
    from selenium.webdriver.support.ui import WebDriverWait

    size(browser, 1100, 900)
    command = [sys.executable, "-m", "tiktok_virality.app", "page", "--env", "demo"]
    with served([*command, "--port"]) as address:
        browser.get(address)
        clip = max(CLIPS.glob("*.mp4"), key=lambda path: path.stat().st_size)
        browser.find_element("css selector", "#clips").send_keys(str(clip))
        browser.find_element("css selector", "#caption").send_keys(CAPTION)
        browser.find_element("css selector", "#send").click()
        WebDriverWait(browser, PATIENCE_SECONDS).until(
            lambda seen: seen.find_elements("css selector", "#answer[aria-busy=false] .timeline")
        )
        size(browser, 1100, browser.execute_script("return document.body.scrollHeight"))
        take(browser, "page")


def mlflow_compare(browser: Any) -> None:
    """Take the models of the last run beside each other."""
    from selenium.webdriver.support.ui import WebDriverWait

    size(browser, 1036, 760)
    with served([sys.executable, "-m", "kedro", "mlflow", "ui", "--env", "demo", "--port"]) as page:
        browser.get(page + MODELS)
        WebDriverWait(browser, PATIENCE_SECONDS).until(
            lambda seen: "ensemble" in seen.find_element("css selector", "body").text
        )
        for assistant in browser.find_elements("css selector", "[aria-label^='Close']"):
            assistant.click()
        time.sleep(SETTLED_SECONDS)
        take(browser, "mlflow-compare")


def kedro_viz(browser: Any) -> None:
    """Take the graph of the pipelines."""
    size(browser, 1520, 957)
    command = [sys.executable, "-m", "kedro", "viz", "run", "--env", "demo", "--no-browser"]
    with served([*command, "--port"]) as address:
        browser.get(address)
        time.sleep(SETTLED_SECONDS)
        browser.execute_script(WITHOUT_TOUR)
        take(browser, "kedro-viz")


PICTURES: dict[str, Callable[[Any], None]] = {
    "report": partial(stored, "report", 1200, 660),
    "clips": partial(stored, "clips", 1200, 1000),
    "dataset_card": partial(stored, "dataset_card", 1185, 1490),
    "page": page,
    "mlflow-compare": mlflow_compare,
    "kedro-viz": kedro_viz,
}


def size(browser: Any, width: int, height: int) -> None:
    """Give the window a size in pixels of the picture."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def take(browser: Any, name: str) -> None:
    """Write the picture, with few colours where few will do."""
    from PIL import Image

    time.sleep(SETTLED_SECONDS)
    place = DOCS / f"{name}.png"
    browser.save_screenshot(str(place))
    Image.open(place).convert("RGB").quantize(256).save(place, optimize=True)


@contextlib.contextmanager
def served(command: list[str]) -> Iterator[str]:
    """Start a server whose command ends with the port; give its address once it answers."""
    port = next(port for port in range(4300, 5000) if _is_free(port))  # Kedro-Viz takes no high one
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [*command, str(port)],
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "KEDRO_DISABLE_TELEMETRY": "1",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(PATIENCE_SECONDS):
            with contextlib.suppress(OSError):  # URLError and TimeoutError are
                urllib.request.urlopen(address, timeout=5).close()
                break
            if process.poll() is not None:
                raise SystemExit(f"{' '.join(command)} ended with {process.returncode}.")
            time.sleep(1)
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) != 0


if __name__ == "__main__":
    main()
