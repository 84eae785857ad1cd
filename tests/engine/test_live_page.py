"""The live page while a server serves: driven in Chromium, no text of a prompt in its data."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from lengthwise.vllm.endpoint import STATE

PATIENCE_MS = 300_000
"""With a server on a busy machine: only ends a test that hangs."""

KEY = {"authorization": "Bearer secret"}
REQUESTS = 5


@pytest.fixture(scope="module")
def server(serving: Any, port: int, tmp_path_factory: Any) -> Iterator[tuple[str, Path]]:
    """A server with two seats, a key and the page; its address and its log."""
    log = tmp_path_factory.mktemp("page") / "log"
    flags = ["--policy", "trail", "--predictor", "builtin", "--max-num-seqs", "2"]
    with serving(log, port, [*flags, "--api-key", "secret"], VLLM_PLUGINS="lengthwise") as address:
        yield address, log


@pytest.fixture(scope="module")
def tab(browser: Any) -> Any:
    opened = browser.new_page()
    opened.set_default_timeout(PATIENCE_MS)
    return opened


def test_the_page_is_open_and_its_data_wants_the_key(server: tuple[str, Path]) -> None:
    address, _ = server
    assert httpx.get(f"{address}/lengthwise").status_code == 200
    assert httpx.get(address + STATE).status_code == 401
    (engine,) = httpx.get(address + STATE, headers=KEY).json()
    assert (engine["policy"], engine["seats"]) == ("trail", 2)
    foreign = {**KEY, "origin": "https://elsewhere.example"}
    assert httpx.get(address + STATE, headers=foreign).status_code == 403


def test_seats_queue_and_decisions_appear_and_no_text(
    server: tuple[str, Path], model: Path, tab: Any
) -> None:
    address, log = server
    got: list[Any] = []

    seen = Event()

    def ask(number: int) -> list[str]:
        """Answers, one after the other until the page was seen: it may be late."""
        answers = [answer(number)]
        while not seen.is_set():
            answers.append(answer(number))
        return answers

    def answer(number: int) -> str:
        body = {
            "model": str(model),
            "prompt": f"The zebrafish number {number} in the aquarium",
            **{"max_tokens": 40, "min_tokens": 40, "temperature": 0, "user": "acme"},
        }
        found = httpx.post(f"{address}/v1/completions", json=body, headers=KEY, timeout=6000)
        found.raise_for_status()
        return str(found.json()["choices"][0]["text"])

    tab.on("response", lambda each: got.append(each))
    tab.goto(f"{address}/lengthwise")
    tab.locator("#key-text").fill("secret")
    tab.keyboard.press("Enter")
    tab.locator("main").wait_for()
    with ThreadPoolExecutor(REQUESTS) as pool:
        jobs: list[Future[list[str]]] = [pool.submit(ask, each) for each in range(REQUESTS)]
        try:
            tab.locator("#seats li").first.wait_for()
            tab.locator("#queue tbody tr").first.wait_for()
            tab.locator("#decisions .admitted").first.wait_for()
            tab.locator("#accuracy circle").first.wait_for(state="attached")
        finally:
            seen.set()
        answers = [text for job in jobs for text in job.result()]
    assert "finished after" in tab.locator("#decisions .finished").first.inner_text()
    told = [each.text() for each in got if STATE in each.url and each.status == 200]
    everything = "\n".join([*told, httpx.get(address + STATE, headers=KEY).text])
    assert len(told) > 1
    assert "zebrafish" not in everything
    assert "aquarium" not in everything
    assert all(len(each.strip()) > 24 for each in answers)
    assert not [each for each in answers if each.strip()[:24] in everything]
    text = log.read_text()
    assert f'"GET {STATE}' not in "".join(line for line in text.splitlines() if " 200" in line)
    assert "/v1/completions" in text
