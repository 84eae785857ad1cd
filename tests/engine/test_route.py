"""``lengthwise route``: two real vLLM servers on Ray Serve, and an engine of one is killed.

Before it ``lengthwise bench routers``, in the same file: two at once would be four engines.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest

pytest.importorskip("ray.serve", reason="needs Ray Serve: pip install lengthwise[ray]")

KEY = "sesame"
HEADERS = {"authorization": f"Bearer {KEY}"}
PATIENCE_S = 600.0
"""Only ends a test that hangs."""


@pytest.fixture(scope="module")
def address(
    model: Path, port: int, running: Any, tmp_path_factory: Any
) -> Iterator[tuple[str, int]]:
    """The route's address, and the process that serves it."""
    log = tmp_path_factory.mktemp("route") / "log"
    command = ["route", str(model), "--predictor", "builtin", "--policy", "trail", "--seats", "2"]
    command += ["--learn", "off", "--report-interval", "0.2", "--api-key", KEY, "--drain", "1"]
    command += ["--max-model-len", "1024", "--enforce-eager", "--served-model-name", "small"]
    command += ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
    with running(log, port, command) as (url, process):
        until(lambda: len(routing(url)["in_flight"]) == 2)
        yield url, process


@pytest.fixture(scope="module")
def client(address: tuple[str, int]) -> Iterator[openai.OpenAI]:
    """OpenAI's own client."""
    url, _ = address
    with openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, timeout=PATIENCE_S) as made:
        yield made


def test_two_routers_serve_the_same_answers_on_the_same_replicas(
    model: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "lengthwise.cli", "bench", "routers", str(model)]
    command += ["--routers", "least-in-flight,predicted", "--policies", "trail"]
    command += ["--predictor", "builtin", "--requests", "10"]
    command += ["--seats", "2", "--max-tokens", "16", "--rates", "burst", "--out", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "predicted" in done.stdout
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert [run["router"] for run in runs] == ["least-in-flight", "predicted"]
    for run in runs:
        assert (run["finished"], run["failed"], run["other_answers"]) == (10, 0, 0)
        assert sum(run["by_replica"].values()) == 10
        assert len(run["by_replica"]) == 2
    # One prediction a request where the router reads it; else each replica makes its own.
    assert [run["predictions"] for run in runs] == [0, 10]
    assert runs[0]["by_replica"].keys() == runs[1]["by_replica"].keys()
    kept = [json.loads(line) for line in (tmp_path / "requests-1.jsonl").read_text().splitlines()]
    assert all(row["first"] <= row["finish"] and row["tokens"] > 0 for row in kept)


def until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def routing(url: str) -> dict[str, Any]:
    answer = httpx.get(f"{url}/v1/routing", headers=HEADERS, timeout=PATIENCE_S)
    found: dict[str, Any] = answer.json()[0]
    return found


def ask(client: openai.OpenAI, i: int, tokens: int, stream: bool = False) -> str:
    asked: Any = {
        "model": "small",
        "messages": [{"role": "user", "content": f"Write {i + 1} sentences about rain."}],
        "max_tokens": tokens,
        "temperature": 0,
    }
    if not stream:
        return client.chat.completions.create(**asked).choices[0].message.content or ""
    parts = client.chat.completions.create(**asked, stream=True)
    return "".join(each.choices[0].delta.content or "" for each in parts)


def test_the_whole_api_is_there(client: openai.OpenAI) -> None:
    asked: Any = {"model": "small", "messages": [{"role": "user", "content": "Three colours?"}]}
    chat = client.chat.completions.create(
        **asked, n=2, logprobs=True, top_logprobs=2, max_tokens=4, temperature=1
    )
    assert len(chat.choices) == 2
    for choice in chat.choices:
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        assert len(choice.logprobs.content[0].top_logprobs) == 2
    response = client.responses.create(model="small", input="Rain is", max_output_tokens=4)
    assert response.usage is not None
    assert response.usage.output_tokens == 4
    assert [each.id for each in client.models.list()] == ["small"]


def test_answers_are_those_of_vllm_s_own_server(address: tuple[str, int]) -> None:
    """Tools and a grammar among them: the replica's server is asked directly, too."""
    url, _ = address
    direct = next(iter(routing(url)["addresses"].values()))
    question = {"role": "user", "content": "Weather in Rome?"}
    where = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "weather", "parameters": where}}
    bodies: list[dict[str, Any]] = [
        {"tools": [tool], "tool_choice": "required", "max_tokens": 16},
        {"response_format": {"type": "json_object"}, "max_tokens": 8},
        {"logprobs": True, "echo": True, "max_tokens": 4},
    ]
    for more in bodies:
        body = {"model": "small", "messages": [question], "temperature": 0, **more}
        answers = [
            httpx.post(
                f"{each}/v1/chat/completions", json=body, headers=HEADERS, timeout=PATIENCE_S
            )
            for each in (direct, url)
        ]
        assert [each.status_code for each in answers] == [200, 200]
        first, second = (each.json()["choices"][0] for each in answers)
        assert first == second


def test_routes_beside_openai_s(address: tuple[str, int]) -> None:
    url, _ = address
    with httpx.Client(base_url=url, headers=HEADERS, timeout=PATIENCE_S) as http:
        message = {
            "model": "small",
            "max_tokens": 4,
            "messages": [{"role": "user", "content": "a"}],
        }
        assert http.post("/v1/messages", json=message).json()["usage"]["output_tokens"] == 4
        assert http.post("/tokenize", json={"prompt": "Rain is"}).json()["count"] == 2
        assert http.post("/v1/completions", json={"prompt": 3}).status_code == 400
        assert http.post("/reset_prefix_cache").status_code == 200
        page = http.get("/metrics").text
        running = [line for line in page.splitlines() if line.startswith("vllm:num_requests_run")]
        assert len({line.partition('replica="')[2][:8] for line in running}) == 2
        assert http.get("/health").status_code == 200
        refused = http.get("/v1/models", headers={"authorization": "Bearer no"})
        assert refused.status_code == 401


def test_each_request_is_predicted_once_and_replicas_tell_what_is_left(
    address: tuple[str, int], client: openai.OpenAI
) -> None:
    url, _ = address
    before = routing(url)["predictions"]
    told: dict[str, set[float]] = {}
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(ask, client, i, 32, i % 2 == 1) for i in range(8)]
        while not all(each.done() for each in answers):
            for id, tokens in routing(url)["told"].items():
                told.setdefault(id, set()).add(round(tokens, 3))
            time.sleep(0.05)
    assert all(each.result() for each in answers)
    known = routing(url)
    assert known["predictions"] == before + 8
    assert len(known["dispatched"]) == 2
    assert told
    assert all(length >= 1.0 for lengths in told.values() for length in lengths)


def test_a_killed_engine_loses_no_request_and_changes_no_answer(
    address: tuple[str, int], client: openai.OpenAI
) -> None:
    url, process = address
    right = [ask(client, i, 12) for i in range(4)]
    before = sum(routing(url)["dispatched"].values())
    with ThreadPoolExecutor(12) as pool:
        answers = [pool.submit(ask, client.with_options(max_retries=0), i, 12) for i in range(12)]
        until(lambda: sum(routing(url)["dispatched"].values()) >= before + 12)
        engines = [
            each
            for each in psutil.Process(process).children(recursive=True)
            if "VLLM::EngineCore" in " ".join(each.cmdline())
        ]
        assert len(engines) == 2
        os.kill(engines[0].pid, signal.SIGKILL)
        done = [each.result() for each in answers]
    assert all(done)
    assert done[:4] == right
    assert routing(url)["resubmitted"] > 0
