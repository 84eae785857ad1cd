"""``lengthwise serve``: vLLM's server, its engine in its own process, our scheduler in it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

Serving = Callable[[Path, int, list[str]], AbstractContextManager[str]]

WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight"]


@pytest.fixture(scope="module")
def server(serving: Serving, port: int, tmp_path_factory: Any) -> Iterator[tuple[str, Path]]:
    """A server with two seats and the shipped probe; its address and its log."""
    log = tmp_path_factory.mktemp("serve") / "log"
    flags = ["--policy", "trail", "--predictor", "builtin", "--max-num-seqs", "2"]
    with serving(log, port, flags) as address:
        yield address, log


def test_chat_completions_under_load(server: tuple[str, Path], model: Path) -> None:
    """More requests than seats: all are answered, and predictions cross the processes."""
    address, log = server

    def ask(i: int) -> dict[str, Any]:
        body = {
            "model": str(model),
            "messages": [{"role": "user", "content": f"Write {WORDS[i]} sentences about rain."}],
            "max_tokens": 48,
            "temperature": 0,
        }
        answer = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=6000)
        answer.raise_for_status()
        return dict(answer.json())

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    assert all(answer["choices"][0]["message"]["content"] for answer in answers)
    assert all(0 < answer["usage"]["completion_tokens"] <= 48 for answer in answers)
    text = log.read_text()
    assert "lengthwise schedules by trail" in text
    assert "predictions arrive from the worker" in text


def test_streaming_and_vllm_flags_work(server: tuple[str, Path], model: Path) -> None:
    address, _ = server
    body = {"model": str(model), "prompt": "Rain is", "max_tokens": 8, "stream": True}
    with httpx.stream("POST", f"{address}/v1/completions", json=body, timeout=600) as answer:
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]"
    assert len(lines) > 4


def test_port_in_use_is_one_line(
    server: tuple[str, Path], model: Path, port: int, environment: dict[str, str]
) -> None:
    command = [
        sys.executable,
        "-m",
        "lengthwise.cli",
        "serve",
        str(model),
        "--predictor",
        "builtin",
    ]
    command += ["--port", str(port), "--host", "127.0.0.1"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"lengthwise: port {port} cannot be used")
    assert len(done.stderr.splitlines()) == 1
