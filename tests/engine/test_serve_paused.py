"""``POST /pause?mode=wait``: what runs is served to its end, what came later waits for /resume."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

Serving = Callable[[Path, int, list[str]], AbstractContextManager[str]]

SEATS, LONG, SHORT = 2, 120, 4

_PATIENCE_S = 600.0
"""Only ends a test that hangs."""


@pytest.fixture(scope="module")
def address(serving: Serving, port: int, tmp_path_factory: Any) -> Iterator[str]:
    """A server with two seats, whose policy takes seats from long requests."""
    log = tmp_path_factory.mktemp("paused") / "log"
    flags = ["--policy", "trail", "--predictor", "builtin", "--max-num-seqs", str(SEATS)]
    with serving(log, port, flags) as address:
        yield address


class Asked:
    """Requests of one server, each on a thread of its own.

    Args:
        patience: seconds without a token after which a client leaves.
    """

    def __init__(
        self,
        address: str,
        model: Path,
        pool: ThreadPoolExecutor,
        patience: float = _PATIENCE_S,
    ) -> None:
        self._url, self._model, self._pool = f"{address}/v1/completions", str(model), pool
        self._patience = patience

    def __call__(self, tokens: int, started: threading.Event | None = None) -> Future[int]:
        """Ask for so many tokens; ``started`` is set once the first one is here."""
        return self._pool.submit(self._stream, tokens, started)

    def _stream(self, tokens: int, started: threading.Event | None) -> int:
        body = {"model": self._model, "prompt": "Rain is", "max_tokens": tokens, "stream": True}
        body |= {"ignore_eos": True, "temperature": 0}
        found = 0
        with httpx.stream("POST", self._url, json=body, timeout=self._patience) as answer:
            for line in answer.iter_lines():
                found += line.startswith("data: {")
                if started is not None and found:
                    started.set()
        return found


def counted(address: str, state: str) -> int:
    """Requests that run or wait, as the server's metrics have them."""
    lines = httpx.get(f"{address}/metrics", timeout=_PATIENCE_S).text.splitlines()
    name = f"vllm:num_requests_{state}{{"
    return int(sum(float(line.split()[-1]) for line in lines if line.startswith(name)))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.05)


def test_a_pause_waits_for_what_runs_and_for_nothing_else(address: str, model: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ask = Asked(address, model, pool)
        long, pausing, short = pause_while_others_come(address, ask, pool)
        assert pausing.result().status_code == 200
        assert [each.result() for each in long] == [LONG] * SEATS
        assert not any(each.done() for each in short)
        assert httpx.post(f"{address}/resume", timeout=_PATIENCE_S).status_code == 200
        assert [each.result() for each in short] == [SHORT] * len(short)


def test_who_lost_a_seat_counts_as_waiting(address: str, model: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        ask = Asked(address, model, pool)
        asked = [*start(ask), *(ask(SHORT) for _ in range(3))]
        seen = set()
        while not all(each.done() for each in asked):
            seen.add(counted(address, "running"))
        assert [each.result() for each in asked] == [LONG] * SEATS + [SHORT] * 3
        assert max(seen) == SEATS


def test_asleep_it_serves_nobody_and_awake_all(address: str, model: Path) -> None:
    """Level 0 only stops the scheduling: all that a machine without a GPU can do."""
    with ThreadPoolExecutor(8) as pool:
        ask = Asked(address, model, pool)
        asked = start(ask)
        url = f"{address}/sleep?level=0&mode=keep"
        assert httpx.post(url, timeout=_PATIENCE_S).status_code == 200
        asked += [ask(SHORT), ask(SHORT)]
        time.sleep(1)
        assert not any(each.done() for each in asked)
        assert httpx.post(f"{address}/wake_up", timeout=_PATIENCE_S).status_code == 200
        assert [each.result() for each in asked] == [LONG] * SEATS + [SHORT] * 2


def test_it_ends_while_it_is_paused(address: str, model: Path) -> None:
    """The last one: the fixture ends the server, while requests wait for /resume.

    vLLM ends its engine at once, and its HTTP server when the last client has left: these do so
    after a while, for an engine that is killed no longer ends their answers.
    """
    pool = ThreadPoolExecutor(8)
    ask = Asked(address, model, pool, patience=30.0)
    _, pausing, _ = pause_while_others_come(address, ask, pool)
    assert pausing.result().status_code == 200
    pool.shutdown(wait=False)


def start(ask: Asked) -> list[Future[int]]:
    """Long requests on all seats."""
    begun = [threading.Event() for _ in range(SEATS)]
    long = [ask(LONG, each) for each in begun]
    assert all(each.wait(_PATIENCE_S) for each in begun)
    return long


def pause_while_others_come(
    address: str, ask: Asked, pool: ThreadPoolExecutor
) -> tuple[list[Future[int]], Future[httpx.Response], list[Future[int]]]:
    """Long requests run, a pause is asked for, then three short requests come."""
    long = start(ask)
    pausing = pool.submit(httpx.post, f"{address}/pause?mode=wait", timeout=_PATIENCE_S)
    until(lambda: bool(httpx.get(f"{address}/is_paused", timeout=60).json()["is_paused"]))
    short = [ask(SHORT) for _ in range(3)]
    until(lambda: counted(address, "waiting") >= len(short))
    return long, pausing, short
