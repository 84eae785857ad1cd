"""The page in Chromium, with made states: quiet, alone, narrow, dark, by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from lengthwise.live.state import ClassNow, EngineNow, RequestNow

from .made import Client, app_of, engine, served

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (the dev extra)")

PATIENCE_MS = 60_000
"""With a page on a busy machine: only ends a test that hangs."""


class Server:
    """What the page is told; tests change it while the page is open."""

    def __init__(self) -> None:
        self.tick = 0
        self.fails = False
        self.engines = 1
        self.waiting = 9

    def states(self) -> list[EngineNow]:
        if self.fails:
            raise RuntimeError("EngineCore is dead")
        return [engine(each, self.tick, self.waiting) for each in range(self.engines)]


@pytest.fixture(scope="module")
def told() -> Server:
    return Server()


@pytest.fixture(scope="module")
def open_tab(browser: Any, told: Server) -> Iterator[Any]:
    """One tab for all tests, and what it asked for and said in its console."""
    with served(app_of(Client(told.states))) as address:
        tab = opened(browser, address)
        # Without any state every test would wait in vain.
        wait_for(tab, "#status", "Live")
        yield tab
        tab.close()


@pytest.fixture
def server(told: Server) -> Iterator[Server]:
    told.__init__()  # type: ignore[misc]
    yield told
    told.__init__()  # type: ignore[misc]


@pytest.fixture
def tab(open_tab: Any, server: Server) -> Any:
    """The tab, as if it was opened just now."""
    open_tab.set_viewport_size({"width": 1400, "height": 1000})
    open_tab.asked.clear()
    open_tab.reload()
    open_tab.locator("main").wait_for()
    return open_tab


def opened(browser: Any, address: str) -> Any:
    """A tab with the page, that keeps what it asks for and says."""
    tab = browser.new_page()
    tab.set_default_timeout(PATIENCE_MS)
    tab.asked, tab.said, tab.address = [], [], address
    tab.on("request", lambda request: tab.asked.append(request.url))
    tab.on("console", lambda message: tab.said.append(message.text))
    tab.on("pageerror", lambda error: tab.said.append(str(error)))
    tab.on("dialog", lambda dialog: tab.said.append(dialog.message))
    tab.goto(f"{address}/lengthwise")
    return tab


def wait_for(tab: Any, place: str, text: str) -> None:
    sync_api.expect(tab.locator(place).first).to_contain_text(text, timeout=PATIENCE_MS)


def test_it_shows_who_sits_who_waits_and_why(tab: Any) -> None:
    assert tab.locator("#seats li").count() == 8
    seat = tab.locator("#seats li").nth(1)
    assert "r1, acme, interactive: 20 tokens answered, 260 more expected" in seat.inner_text()
    assert "how many more is not known" in tab.locator("#seats li").nth(2).inner_text()
    rows = tab.locator("#queue tbody tr")
    assert rows.count() == 9
    cells = rows.nth(1).locator("th, td").all_inner_texts()
    assert [*cells[:2], *cells[3:5], *cells[6:]] == [
        *("r21", "2", "batch", "1,020 (64)", "80", "12\N{EN DASH}600", "1.0 s", "2")
    ]
    assert "r20 promoted" in rows.nth(0).inner_text()
    assert tab.locator("#paused tbody tr").count() == 2
    words = tab.locator("#decisions li").all_inner_texts()
    assert any("r22 paused for r28: 310 → 22 tokens left, no recompute" in each for each in words)
    assert tab.locator("#accuracy circle").count() == 6
    assert "6 requests" in tab.locator("#accuracy-note").inner_text()
    parts = {"classes": "98 %", "learner": "version 3", "predictors": "91 %", "figures": "+10 %"}
    assert tab.locator("#seats-note").inner_text() == "0 of 8 seats free."
    for part, text in parts.items():
        assert text in tab.locator(f"#{part}").inner_text()
    # Names of tenants are texts, whatever is in them.
    assert tab.locator("img").count() == 0
    tab.locator("#kinds").select_option("seats")
    assert {each.get_attribute("class") for each in tab.locator("#decisions li").all()} == {
        "paused"
    }


def test_an_update_changes_the_text_and_keeps_the_elements(tab: Any, server: Server) -> None:
    tab.locator("#hold").focus()
    tab.evaluate("window.row = document.querySelector('#queue tbody tr')")
    tab.evaluate("window.cell = document.querySelector('#seats li')")
    server.tick = 5
    wait_for(tab, "#seats .count", "5 of")
    assert tab.evaluate("window.row === document.querySelector('#queue tbody tr')")
    assert tab.evaluate("window.cell === document.querySelector('#seats li')")
    assert tab.evaluate("document.activeElement.id") == "hold"
    assert "r39" in tab.locator("#decisions li").first.inner_text()


def test_stopped_it_asks_no_more_until_it_is_told_to(tab: Any, server: Server) -> None:
    tab.locator("#hold").click()
    wait_for(tab, "#status", "Stopped")
    tab.wait_for_timeout(200)
    tab.asked.clear()
    tab.wait_for_timeout(1300)
    assert tab.asked == []
    server.tick = 7
    tab.locator("#hold").press("Enter")
    wait_for(tab, "#seats .count", "7 of")
    wait_for(tab, "#status", "Live")


def test_hidden_it_asks_no_more_and_seen_again_it_does(tab: Any, server: Server) -> None:
    hide = "value => { Object.defineProperty(document, 'hidden', {value, configurable: true});"
    hide += " document.dispatchEvent(new Event('visibilitychange')); }"
    tab.evaluate(hide, True)
    tab.wait_for_timeout(200)
    tab.asked.clear()
    tab.wait_for_timeout(1300)
    assert tab.asked == []
    server.tick = 3
    tab.evaluate(hide, False)
    wait_for(tab, "#seats .count", "3 of")


def test_an_engine_that_fails_is_named_and_the_last_state_stays(tab: Any, server: Server) -> None:
    server.fails = True
    wait_for(tab, "#status", "Out of date: the engine gave no answer: EngineCore is dead.")
    assert tab.locator("#seats li").count() == 8
    server.fails = False
    wait_for(tab, "#status", "Live")
    tab.said.clear()  # Chromium itself names answers of status 503 in its console.


def test_one_engine_of_several_that_is_silent_is_named(tab: Any, server: Server) -> None:
    server.engines = 2
    tab.locator("#tab-1").wait_for()
    server.engines = 1
    wait_for(tab, "#status", "No answer of engine 1.")
    assert tab.locator("[role=tab]").count() == 2


def test_no_width_scrolls_sideways_but_boxes_do(tab: Any, server: Server) -> None:
    server.engines, server.waiting = 3, 10_000
    wait_for(tab, "#queue-note", "the first 40 of 10,000")
    wide = "[...document.querySelectorAll('main *')].filter(it => !it.closest('.box') && "
    wide += "it.getBoundingClientRect().right > innerWidth + 1).map(it => it.outerHTML)"
    for width in (320, 768, 1400):
        tab.set_viewport_size({"width": width, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate(wide) == []


def test_dark_light_and_less_motion(tab: Any) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    moves = "getComputedStyle(document.querySelector('.bar i')).transitionDuration"
    tab.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert (tab.evaluate(ground), tab.evaluate(moves)) == ("rgb(21, 24, 29)", "0s")
    tab.emulate_media(color_scheme="light", reduced_motion="no-preference")
    assert tab.evaluate(ground) == "rgb(255, 255, 255)"


def test_the_keyboard_reaches_all_and_focus_is_seen(tab: Any, server: Server) -> None:
    server.engines = 2
    tab.locator("#tab-1").wait_for()
    reached: list[str] = []
    active = "document.activeElement.id || document.activeElement.className"
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    while "box tall" not in reached and len(reached) < 20:
        tab.keyboard.press("Tab")
        reached.append(tab.evaluate(active))
        assert tab.evaluate(outline) != "none", reached
    assert {"skip", "hold", "tab-0", "kinds", "box", "box tall"} <= {*reached}
    tab.locator("#tab-0").focus()
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.id") == "tab-1"
    wait_for(tab, "[role=tab][aria-selected=true]", "Engine 1")
    assert tab.locator("#panel").get_attribute("aria-labelledby") == "tab-1"


def test_tables_have_captions_and_headers(tab: Any) -> None:
    scopes = "[...document.querySelectorAll('%s th')].map(it => it.scope)"
    assert {*tab.evaluate(scopes % "thead")} == {"col"}
    assert {*tab.evaluate(scopes % "tbody")} == {"row"}
    assert tab.locator("table").count() == tab.locator("table > caption").count() == 4


def test_nothing_left_the_server_and_the_console_was_quiet(tab: Any) -> None:
    assert tab.said == []
    assert tab.asked
    assert all(url.startswith(f"{tab.address}/") for url in tab.asked)


def test_it_asks_for_the_key_and_keeps_it_for_this_tab(browser: Any, server: Server) -> None:
    with served(app_of(Client(server.states), key="secret")) as address:
        tab = opened(browser, address)
        tab.locator("#key").wait_for()
        assert tab.evaluate("document.activeElement.id") == "key-text"
        tab.keyboard.type("wrong")
        tab.keyboard.press("Enter")
        wait_for(tab, "#status", "refused")
        tab.locator("#key-text").fill("secret")
        tab.keyboard.press("Enter")
        tab.locator("main").wait_for()
        assert not tab.locator("#key").is_visible()
        tab.reload()
        tab.locator("main").wait_for()
        tab.close()


def test_an_engine_of_which_little_is_known(browser: Any) -> None:
    bare = msgspec.structs.replace(
        engine(),
        **{"requests": [RequestNow(1, "running", 5, 0, 0, None, None, None, 0.0, 0)]},
        **{"decisions": [], "predictors": [], "bound": None, "running": 1, "waiting": 0},
        **{"waiting_by": [0] * 6, "paused": 0, "classes": [ClassNow("x")], "kv_tokens": 0},
    )
    with served(app_of(Client(lambda: [bare]))) as address:
        tab = opened(browser, address)
        tab.locator("main").wait_for()
        assert "7 of 8 seats free" in tab.locator("#seats-note").inner_text()
        text = tab.locator("body").inner_text()
        assert "Nobody waits." in text
        assert "NaN" not in text
        assert "undefined" not in text
        tab.close()
