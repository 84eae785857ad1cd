"""``lengthwise route``: two real vLLM replicas on Ray Serve, and one of them is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

pytest.importorskip("ray.serve", reason="needs Ray Serve: pip install lengthwise[ray]")


PATIENCE_S = 600.0
"""Only ends a test that hangs."""


@pytest.fixture(scope="module")
def address(
    model: Path, port: int, running: Any, tmp_path_factory: Any
) -> Iterator[tuple[str, int]]:
    """The route's address, and the process that serves it."""
    log = tmp_path_factory.mktemp("route") / "log"
    command = ["route", str(model), "--predictor", "builtin", "--policy", "trail", "--seats", "2"]
    command += ["--learn", "off"]
    with running(log, port, command) as (url, process):
        # The router is made with the first request, and hears of the replicas soon after.
        assert ask(url, 0, 1).status_code == 200
        until(lambda: len(routing(url)["in_flight"]) == 2)
        yield url, process


def until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def ask(url: str, i: int, tokens: int) -> httpx.Response:
    body = {
        "messages": [{"role": "user", "content": f"Write {i + 1} sentences about rain."}],
        "max_tokens": tokens,
        "temperature": 0,
    }
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=PATIENCE_S)


def routing(url: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{url}/v1/routing", timeout=PATIENCE_S).json()[0]
    return found


def test_both_replicas_answer_and_each_request_is_predicted_once(address: tuple[str, int]) -> None:
    url, _ = address
    before = routing(url)["predictions"]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: ask(url, i, 24), range(8)))
    assert [each.status_code for each in answers] == [200] * 8
    assert all(0 < each.json()["usage"]["completion_tokens"] <= 24 for each in answers)
    known = routing(url)
    assert known["predictions"] == before + 8
    assert len(known["dispatched"]) == 2


def test_streams_and_refuses_as_openai_does(address: tuple[str, int]) -> None:
    url, _ = address
    body = {
        **{"prompt": "Rain is", "max_tokens": 8, "stream": True},
        **{"priority": 2, "vllm_xargs": {"lengthwise_tenant": "acme"}},
    }
    with httpx.stream("POST", f"{url}/v1/completions", json=body, timeout=PATIENCE_S) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    assert len(lines) > 4
    refused = httpx.post(f"{url}/v1/completions", json={"prompt": 3}, timeout=PATIENCE_S)
    assert refused.status_code == 400
    assert "prompt is a text" in refused.json()["error"]["message"]


def test_a_killed_replica_loses_no_request(address: tuple[str, int]) -> None:
    url, process = address
    before = sum(routing(url)["dispatched"].values())
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(ask, url, i, 48) for i in range(10)]
        until(lambda: sum(routing(url)["dispatched"].values()) == before + 10)
        victims = [
            each.pid
            for each in psutil.process_iter(["cmdline"])
            if "ServeReplica:lengthwise:replicas" in " ".join(each.info["cmdline"] or [])
            and process in [parent.pid for parent in each.parents()]
        ]
        assert len(victims) == 2
        os.kill(victims[0], signal.SIGKILL)
        done = [each.result() for each in answers]
    assert [each.status_code for each in done] == [200] * 10
