"""A page in a real browser without a window: Debian's chromium, driven by playwright."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDE, PHONE = (1280, 900), (390, 844)
NARROW = 320, 450  # what a window of 1280 pixels shows at a zoom of 400 %
Scheme = Literal["light", "dark"]


class Opened:
    """A page, and what went wrong in it."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def value(self, script: str) -> Any:
        return self.page.evaluate(script)

    def wait(self, script: str, seconds: float = 20) -> None:
        """Until a condition holds; asked from here, as the page forbids itself to run what it was not made with."""
        ends = time.monotonic() + seconds
        while not self.page.evaluate(script):
            assert time.monotonic() < ends, script
            self.page.wait_for_timeout(50)


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; the test is skipped where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium is installed: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])  # root has no sandbox
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Any, file: Path, size: tuple[int, int] = WIDE, scheme: Scheme = "light", *, still: bool = False
) -> Iterator[Opened]:
    """A file as a reader opens it from disk, with no network; `still`: the reader wants no motion."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme=scheme,
        reduced_motion="reduce" if still else "no-preference",
        offline=True,
    )
    page = Opened(context.new_page())
    page.page.goto(file.absolute().as_uri())
    yield page
    context.close()
