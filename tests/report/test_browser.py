"""The page in Chromium: quiet, alone, narrow, dark and printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lengthwise.report.parts import Page
from lengthwise.report.write import write_page


@pytest.fixture(scope="module")
def file(page: Page, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_page(page, tmp_path_factory.mktemp("page") / "report.html")[0]


def test_nothing_leaves_the_page_and_the_console_is_quiet(browser: Any, file: Path) -> None:
    tab = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    tab.route("**/*", lambda route: (asked.append(route.request.url), route.continue_()))
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.on("dialog", lambda dialog: said.append(dialog.message))
    tab.goto(file.as_uri())
    tab.locator("summary").first.click()
    assert tab.locator("details[open] table").first.is_visible()
    tab.close()
    assert asked == [file.as_uri()]
    assert said == []


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_no_width_scrolls_sideways_but_boxes_do(browser: Any, file: Path, width: int) -> None:
    tab = browser.new_page(viewport={"width": width, "height": 800})
    tab.goto(file.as_uri())
    tab.evaluate("document.querySelectorAll('details').forEach(it => it.open = true)")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    boxes = "[...document.querySelectorAll('.box')].map(it => it.getBoundingClientRect().right)"
    assert max(tab.evaluate(boxes)) <= width
    if width == 320:
        wide = "[...document.querySelectorAll('.box')].some(it => it.scrollWidth > it.clientWidth)"
        assert tab.evaluate(wide)
    tab.close()


def test_dark_mode_changes_page_and_charts(browser: Any, file: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    drawn = "getComputedStyle(document.querySelector('svg g path')).fill"
    found = {}
    for scheme in ("light", "dark"):
        tab = browser.new_page(color_scheme=scheme)
        tab.goto(file.as_uri())
        found[scheme] = (tab.evaluate(ground), tab.evaluate(drawn))
        tab.close()
    assert found["light"] == ("rgb(255, 255, 255)", "rgb(255, 255, 255)")
    assert found["dark"] == ("rgb(21, 24, 29)", "rgb(21, 24, 29)")


def test_printed_it_is_light_and_tables_are_open(browser: Any, file: Path) -> None:
    tab = browser.new_page(color_scheme="dark")
    tab.goto(file.as_uri())
    tab.emulate_media(media="print")
    assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert (
        tab.evaluate("document.querySelector('details table').getBoundingClientRect().height") > 0
    )
    # A4 less its margins.
    tab.set_viewport_size({"width": 680, "height": 1000})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 680
    assert tab.pdf(format="A4").startswith(b"%PDF")
    tab.close()


def test_tab_reaches_what_scrolls(browser: Any, file: Path) -> None:
    tab = browser.new_page()
    tab.goto(file.as_uri())
    reached = set()
    for _ in range(20):
        tab.keyboard.press("Tab")
        active = "document.activeElement.className || document.activeElement.tagName"
        reached.add(tab.evaluate(active))
    tab.close()
    assert {"skip", "A", "box"} <= reached
