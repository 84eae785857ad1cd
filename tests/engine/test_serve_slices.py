"""``lengthwise serve --slice``: clients of the server see whole requests."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest


@pytest.fixture(scope="module")
def address(serving: Any, port: int, tmp_path_factory: Any) -> Iterator[str]:
    """A server with two seats, whose slices have at most 24 tokens."""
    log = tmp_path_factory.mktemp("slices") / "log"
    flags = ["--policy", "fcfs", "--slice", "24", "--block-size", "32", "--max-num-seqs", "2"]
    with serving(log, port, flags) as address:
        yield address


def body(model: Path, **more: Any) -> dict[str, Any]:
    asked = {"model": str(model), "prompt": "Rain is", "max_tokens": 60, "ignore_eos": True}
    return asked | {"temperature": 0.8, "seed": 4} | more


def streamed(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if line.startswith("data: ") and line != "data: [DONE]":
            yield json.loads(line.removeprefix("data: "))


def test_a_stream_is_the_answer_in_parts_and_usage_counts_it_once(
    address: str, model: Path
) -> None:
    url = f"{address}/v1/completions"
    whole = httpx.post(url, json=body(model), timeout=6000).json()
    asked = body(model, stream=True, stream_options={"include_usage": True})
    with httpx.stream("POST", url, json=asked, timeout=6000) as answer:
        chunks = list(streamed(answer.iter_lines()))
    parts = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
    assert "".join(part["text"] for part in parts) == whole["choices"][0]["text"]
    assert [part["finish_reason"] for part in parts if part["finish_reason"]] == ["length"]
    usage = {what: chunks[-1]["usage"][what] for what in ("prompt_tokens", "completion_tokens")}
    assert usage["completion_tokens"] == 60
    assert usage == {what: whole["usage"][what] for what in usage}


def test_a_client_that_leaves_in_a_later_slice_leaves_nothing_behind(
    address: str, model: Path
) -> None:
    asked = body(model, stream=True, max_tokens=900)
    with httpx.stream("POST", f"{address}/v1/completions", json=asked, timeout=6000) as answer:
        for number, _ in enumerate(streamed(answer.iter_lines())):
            if number == 40:
                break
    end = time.monotonic() + 600
    while seated(address) > 0:
        assert time.monotonic() < end, "the request still has its seat"
        time.sleep(0.1)


def seated(address: str) -> float:
    """Requests that run or wait, as the server's metrics have them."""
    names = ("vllm:num_requests_running", "vllm:num_requests_waiting")
    lines = httpx.get(f"{address}/metrics", timeout=600).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(names))
