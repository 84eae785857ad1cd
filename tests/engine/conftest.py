"""The real engine for tests: built once a run, each in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from lengthwise.models.smollm2 import prepare_smollm2
from lengthwise.vllm.engine import preload
from lengthwise.workload.prompts import read_prompts

_PATIENCE_S = 600.0
"""With a server that starts or ends on a busy machine: only ends a test that hangs."""

Drive = Callable[..., dict[str, Any]]

pytest.importorskip("vllm", reason="the engine tests need vLLM: make test installs it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("engine")


@pytest.fixture(scope="session")
def model() -> Path:
    return prepare_smollm2()


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    return {**os.environ, **preload()}


@pytest.fixture(scope="module")
def port() -> int:
    """A free port that no outgoing connection is given meanwhile, as those above these are."""
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


@pytest.fixture(scope="session")
def running(environment: dict[str, str]) -> Any:
    """``running(log, port, command)``: a server of ours as long as the block lasts."""

    @contextmanager
    def run(log: Path, port: int, command: list[str]) -> Iterator[tuple[str, int]]:
        command = [sys.executable, "-m", "lengthwise.cli", *command]
        command += ["--port", str(port), "--host", "127.0.0.1"]
        settings = {**environment, "VLLM_LOGGING_LEVEL": "INFO", "HF_HUB_OFFLINE": "1"}
        settings.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
        with log.open("w") as out:
            process = subprocess.Popen(command, env=settings, stdout=out, stderr=out)
        address = f"http://127.0.0.1:{port}"
        try:
            end = time.monotonic() + _PATIENCE_S
            while time.monotonic() < end:
                assert process.poll() is None, log.read_text()[-3000:]
                try:
                    if httpx.get(f"{address}/health", timeout=60).status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.5)
            else:
                pytest.fail("the server did not come up:\n" + log.read_text()[-3000:])
            yield address, process.pid
        finally:
            process.terminate()
            process.wait(timeout=_PATIENCE_S)

    return run


@pytest.fixture(scope="session")
def serving(model: Path, running: Any) -> Any:
    """``serving(log, port, flags)``: ``lengthwise serve`` as long as the block lasts."""

    @contextmanager
    def serve(log: Path, port: int, flags: list[str]) -> Iterator[str]:
        more = ["--max-model-len", "1024", "--enforce-eager"]
        with running(log, port, ["serve", str(model), *flags, *more]) as (address, _):
            yield address

    return serve


@pytest.fixture(scope="session")
def prompts(model: Path) -> list[list[int]]:
    """Token ids of shipped prompts, short to long answers mixed."""
    from transformers import AutoTokenizer

    from lengthwise.models.served import chat_ids

    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = [chat_ids(tokenizer, prompt.text) for prompt in read_prompts("builtin")[:60]]
    return [one for one in ids if len(one) < 100][:18]


@pytest.fixture
def drive(tmp_path: Path, model: Path, environment: dict[str, str]) -> Drive:
    """Runs requests through a fresh engine: ``drive(policy, requests, **engine)``."""

    def run(
        policy: str,
        requests: list[dict[str, Any]],
        seats: int = 4,
        settings: dict[str, Any] | None = None,
        recorded: bool = False,
        asynchronous: bool = False,
        **engine: Any,
    ) -> dict[str, Any]:
        if policy == "stock":
            engine["scheduler_cls"] = "lengthwise.vllm.StockScheduler"
        else:
            engine["scheduler_cls"] = "lengthwise.vllm.Scheduler"
            engine["additional_config"] = {
                "lengthwise": {"policy": policy, "probe": "builtin", **(settings or {})}
            }
        number = len(list(tmp_path.glob("job-*")))
        job, out = tmp_path / f"job-{number}.json", tmp_path / f"out-{number}.json"
        job.write_text(
            json.dumps(
                {
                    "model": str(model),
                    "seats": seats,
                    "requests": requests,
                    "engine": {"block_size": 32, **engine},
                    "recorded": recorded,
                    "asynchronous": asynchronous,
                }
            )
        )
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("drive.py")), str(job), str(out)],
            env={**environment, "LENGTHWISE_TRACE": str(tmp_path / f"trace-{number}")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        result: dict[str, Any] = json.loads(out.read_text())
        return result

    return run


def requests_of(
    prompts: list[list[int]], every: int = 2, max_tokens: int = 16
) -> list[dict[str, Any]]:
    """One request for each prompt, a new one every few steps, of very unequal lengths."""
    return [
        {
            "id": f"r{i}",
            "step": i // 3 * every,
            "prompt_ids": ids,
            "max_tokens": max_tokens if i % 3 else 3 * max_tokens,
        }
        for i, ids in enumerate(prompts)
    ]


@pytest.fixture(scope="session")
def mixed(prompts: list[list[int]]) -> list[dict[str, Any]]:
    return requests_of(prompts)
