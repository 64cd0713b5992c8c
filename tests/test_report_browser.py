"""A report in a real browser: it plays, it can be used by keyboard and on a phone, and nothing leaves the file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import NARROW, PHONE, WIDE, Scheme, chromium, opened
from report_makers import begin_sweep, end_sweep, make_runs, page_of
from test_report import HARM, shards  # noqa: F401 (a fixture)

from vidaug_cli.report.clips import Clip
from vidaug_cli.report.page import render
from vidaug_cli.report.pieces import Setting
from vidaug_cli.report.shards import ShardsReport

SOON = 1000  # milliseconds in which a page can be used
USUAL = 250  # ... and a page with one clip, on a machine with nothing else to do
LARGEST = 8_000_000  # bytes of a page with 1,000 clips' numbers and 60 moving clips


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def pages(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:  # noqa: F811
    """One of each kind, and one of all together."""
    folder = tmp_path_factory.mktemp("pages")
    runs = make_runs(folder / "made")
    end_sweep(sweep := begin_sweep(folder / "sweep"))
    sources = {"shards": [shards], "runs": runs, "sweep": [sweep], "all": [shards, *runs, sweep]}
    for name, given in sources.items():
        page_of(*given, out=folder / f"{name}.html", words=("--worst", 2, "--device", "cpu"))
    return {name: folder / f"{name}.html" for name in sources}


@pytest.mark.parametrize("name", ["shards", "runs", "sweep", "all"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_from_disk_without_a_fault(
    browser: Any, pages: dict[str, Path], name: str, size: tuple[int, int], scheme: Scheme
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    with opened(browser, pages[name], size, scheme) as page:
        if name != "sweep":
            page.page.locator(".clip").first.scroll_into_view_if_needed()
            page.wait("[...document.querySelectorAll('video')].some(video => video.currentTime > 0)")
        found = axe.Axe().run(page.page).response
        assert [(each["id"], each["nodes"][0]["html"]) for each in found["violations"]] == []
        assert page.errors == []
        assert [url for url in page.requests if not url.startswith(("file:", "blob:", "data:"))] == []
        assert page.value("document.documentElement.scrollWidth") <= size[0]  # nothing to scroll sideways
        background = page.value("getComputedStyle(document.body).backgroundColor")
        assert (background == "rgb(252, 252, 251)") == (scheme == "light")


def test_enlarged_four_times_nothing_scrolls_sideways(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["all"], NARROW) as page:
        assert page.value("document.documentElement.scrollWidth") == NARROW[0]


def test_on_paper_colours_stay_and_buttons_go(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["all"]) as page:
        page.page.emulate_media(media="print")
        assert page.value("getComputedStyle(document.querySelector('.fill')).printColorAdjust") == "exact"
        for gone in (".top", ".toolbar", ".copy", ".play"):
            assert page.value(f"getComputedStyle(document.querySelector('{gone}')).display") == "none"


def test_clips_play_and_their_cursor_moves(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["shards"]) as page:
        page.page.locator(".clip").first.scroll_into_view_if_needed()
        page.wait("document.querySelector('.clip video').currentTime > 0")
        page.wait("Number(document.querySelector('.clip input').value) > 0")
        assert page.value("document.querySelector('.clip output').textContent").startswith("frame ")
        page.page.locator(".all").first.click()
        page.wait("[...document.querySelectorAll('video')].every(video => video.paused)")
        assert page.page.locator(".all").first.text_content() == "Play all"
        assert page.page.locator(".play").first.get_attribute("aria-label").startswith("Play clip ")


def test_by_keyboard(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["shards"]) as page:
        seen = []
        for _ in range(40):
            page.page.keyboard.press("Tab")
            seen.append(page.value("document.activeElement.className || document.activeElement.tagName"))
            if seen[-1] == "copy":
                break
        first = ["skip", *["A"] * page.value("document.querySelectorAll('nav a').length")]
        selects = ["SELECT"] * page.value("document.querySelectorAll('select').length")
        assert seen == [*first, *selects, "INPUT", "all", "play", "INPUT", "copy"]
        page.page.keyboard.press("Shift+Tab")
        page.page.keyboard.press("Shift+Tab")
        page.page.keyboard.press("Enter")
        page.wait("document.querySelector('.clip video').paused")
        page.page.keyboard.press("Tab")
        before = int(page.value("document.activeElement.value"))
        page.page.keyboard.press("ArrowRight" if before < 7 else "ArrowLeft")
        after = int(page.value("document.activeElement.value"))
        assert after == before + (1 if before < 7 else -1)
        assert page.value("document.querySelector('.clip output').textContent").startswith(f"frame {after + 1} of 8")
        page.page.keyboard.press("Tab")
        page.page.keyboard.press("Enter")
        page.wait("document.activeElement.textContent === 'Copied'")


def test_motion_waits_for_who_wants_none(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["shards"], still=True) as page:
        page.page.locator(".clip").first.scroll_into_view_if_needed()
        page.wait("document.querySelector('.clip video').readyState >= 2")
        assert page.value("[...document.querySelectorAll('video')].every(video => video.paused)")
        page.page.locator(".play").first.click()
        page.wait("document.querySelector('.clip video').currentTime > 0")


def test_filters_choose_clips_and_rows(browser: Any, pages: dict[str, Path]) -> None:
    with opened(browser, pages["shards"]) as page:
        table = page.page.locator(".gallery details")
        table.locator("summary").click()
        page.wait("document.querySelectorAll('.gallery tbody tr').length === 40")
        page.page.locator("select[data-kind=class]").select_option(HARM)
        page.wait("document.querySelectorAll('.gallery tbody tr').length < 40")
        labels = page.value("[...document.querySelectorAll('.gallery tbody tr')].map(row => row.cells[1].textContent)")
        assert labels
        assert all(HARM in label for label in labels)
        assert page.value(
            "[...document.querySelectorAll('.clip')].filter(clip => !clip.hidden)"
            ".every(clip => JSON.parse(clip.dataset.keys).class.some(name => name.startsWith('<img')))"
        )
        page.page.locator(".reset").click()
        page.wait("document.querySelectorAll('.gallery tbody tr').length === 40")
        shown = "document.querySelectorAll('.clip:not([hidden])').length"
        assert page.value(shown) == 12
        page.page.locator(".more").first.click()
        assert page.value(shown) == 24
        assert page.value("document.activeElement.className") == "play"
        assert page.errors == []


def test_a_full_page_is_small_and_soon_usable(browser: Any, tmp_path: Path) -> None:
    """The numbers of 1,000 clips, and 60 of the largest that a page may hold."""
    from vidaug_cli.report.clips import MOST_BYTES

    weights = tuple(np.linspace(0, 1, 64).round(4).tolist())
    video = "A" * (4 * (MOST_BYTES // 3))
    keys = {"class": ["walk", "run"], "op": ["rotate", "fademixup"], "recipe": ["randaugment_t+fademixup"]}
    clip: dict[str, Any] = {"title": "x", "shares": (("walk", 0.5), ("run", 0.5)), "own": "walk/" + "v" * 60}
    clip |= {"partner": "run/" + "w" * 60, "weights": weights, "notes": ("rotate", "fademixup"), "keys": keys}
    clips = tuple(
        Clip(number=n, command=f"vidaug replay some/folder/of/shards --clip {n}", fps=30.0, video=video, **clip)
        for n in range(60)
    )
    row = keys | {"label": "walk 50 % + run 50 %", "ops": "rotate, fademixup", "own": 0.5, "copy": 1}
    row |= {"videos": "walk/" + "v" * 60 + " + run/" + "w" * 60, "command": "vidaug replay some/folder --clip 1000"}
    report = ShardsReport(
        source="full",
        name="full",
        stats=(Setting("clips", "1,000"),),
        notes=(),
        commands=(),
        clips=clips,
        table=tuple(row | {"clip": n} for n in range(1000)),
        filters={"class": {"walk": 1000, "run": 1000}},
    )
    full, bare = tmp_path / "full.html", tmp_path / "bare.html"
    full.write_text(render([report], "vidaug report full"), encoding="utf-8")
    bare.write_text(render([replace(report, clips=clips[:1], table=())], "vidaug report bare"), encoding="utf-8")
    assert 7_000_000 < full.stat().st_size < LARGEST
    usual = min(usable_after(browser, bare) for _ in range(3))
    assert min(usable_after(browser, full) for _ in range(3)) < SOON * max(1.0, usual / USUAL)


def usable_after(browser: Any, file: Path) -> float:
    """Milliseconds until a page is there, and then until it has answered a choice."""
    with opened(browser, file) as page:
        loaded = page.value("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        before = page.value("performance.now()")
        page.page.locator("select").first.select_option("walk")
        return float(loaded + page.value("performance.now()") - before)
