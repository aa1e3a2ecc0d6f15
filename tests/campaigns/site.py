"""The pages in a browser: ``python -m tests.campaigns.site SITE [PICTURES]``, after ``mkdocs build -d SITE``.

A headless Chromium opens every page, wide and as on a phone: nothing is fetched from elsewhere, nothing is
written to the console, no page is wider than the screen. The search is typed into, and finds the page that
says how. Needs selenium, Chromium (or Chrome) and chromedriver.
"""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SCREENS = {"wide": (1280, 900), "phone": (390, 844)}

SEARCHES = {
    "sharding": "how-to/write-an-image/",
    "downsampling": "how-to/save-in-napari/",
    "HCS": "how-to/open-plates/",
    "segmentation": "tutorial/correct-a-segmentation/",
    "registration": "explanation/coordinates/",
    "ROI": "tutorial/cut-out-a-region/",
    "voxel size": "tutorial/fix-a-voxel-size/",
    "convert": "how-to/use-the-command-line/",
    "write_plate": "reference/library/",
    "pip install": "tutorial/first-steps/",
    "s3 bucket": "how-to/save-to-the-cloud/",
}
"""What somebody types, and a page that has to be among the first five results."""

RESULTS = "return [...document.querySelectorAll('.md-search-result__item > a')].map(a => a.href)"


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of a folder on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@contextlib.contextmanager
def browser(width: int, height: int, *, dark: bool = False) -> Iterator[Any]:
    """A headless Chromium of that size, with a log of its requests."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},{height}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    # Named, so that selenium does not look for one (and report that) on the web.
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    try:
        yield driver
    finally:
        driver.quit()


def requests(driver: Any) -> Iterator[str]:
    """Addresses that were asked for since the last call."""
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            yield message["params"]["request"]["url"]


def each_page(driver: Any, base: str, pages: list[str], pictures: Path | None) -> Iterator[str]:
    """What is wrong with pages at this width."""
    for page in pages:
        driver.get(base + page)
        page_width, width = driver.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        if page_width > width:
            yield f"{page}: {page_width} pixels wide on a screen of {width}"
        if pictures:
            name = page.strip("/").replace("/", "-") or "home"
            driver.save_screenshot(str(pictures / f"{width}-{name}.png"))
    elsewhere = [url for url in requests(driver) if url.startswith("http") and not url.startswith(base)]
    yield from (f"fetched from elsewhere: {url}" for url in elsewhere)
    yield from (f"console: {entry['message']}" for entry in driver.get_log("browser"))


def search(driver: Any, base: str, words: str) -> list[str]:
    """The first pages that typing `words` into the search finds, best first."""
    from selenium.webdriver.support.ui import WebDriverWait

    driver.get(base)
    driver.execute_script("document.querySelector('#__search').click()")
    field = driver.find_element("css selector", "input.md-search__input")
    wait = WebDriverWait(driver, 20)
    wait.until(lambda _: field.is_displayed())
    field.send_keys(words)
    links: list[str] = []
    while not links or links != driver.execute_script(RESULTS):  # results of the first letters are replaced
        links = wait.until(lambda _: driver.execute_script(RESULTS))
        time.sleep(0.5)
    return list(dict.fromkeys(link.removeprefix(base).partition("?")[0] for link in links))[:5]


def run(site: Path, pictures: Path | None = None) -> list[str]:
    """Everything that is wrong with a site."""
    pages = sorted(path.parent.relative_to(site).as_posix() + "/" for path in site.rglob("index.html"))
    pages = [page.removeprefix("./") for page in pages]
    wrong: list[str] = []
    with served(site) as base:
        for name, (width, height) in SCREENS.items():
            with browser(width, height) as driver:
                wrong += [f"{name}: {one}" for one in each_page(driver, base, pages, pictures)]
                for words, page in SEARCHES.items():
                    results = search(driver, base, words)
                    print(f"{name}: {words}: {results}")
                    if page not in results:
                        wrong.append(f"{name}: the search for {words} does not lead to {page}: {results}")
        with browser(1280, 900, dark=True) as driver:
            driver.get(base)
            scheme = driver.execute_script("return document.body.dataset.mdColorScheme")
            if scheme != "slate":
                wrong.append(f"no dark mode, but {scheme}")
    print(f"{len(pages)} pages, {len(SEARCHES)} searches, {len(SCREENS)} screens: {len(wrong)} faults")
    return wrong


if __name__ == "__main__":
    faults = run(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None)
    print(*faults, sep="\n")
    sys.exit(bool(faults))
