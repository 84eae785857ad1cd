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
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from lengthwise.models.smollm2 import prepare_smollm2
from lengthwise.traces.prompts import read_prompts
from lengthwise.vllm.engine import preload

BIND = "VLLM_CPU_OMP_THREADS_BIND"
"""Environment variable: the cores of each engine of vLLM's CPU build."""

_PATIENCE_S = 600.0
"""With a server that starts or ends on a busy machine: only ends a test that hangs."""

Drive = Callable[..., dict[str, Any]]

pytest.importorskip("vllm", reason="the engine tests need vLLM: make test installs it")


VERSIONS = {
    *("test_same_as_stock", "test_tap", "test_slices", "test_asynchronous"),
    *("test_serve", "test_states", "test_runner_v2", "test_sampled"),
}
"""Modules that touch what differs between versions of vLLM; here and, by their own marks, in
``tests/vllm``. ``make test-older`` runs them with the older one."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("engine")
            if item.path.stem in VERSIONS and item.get_closest_marker("latest") is None:
                item.add_marker("versions")


@pytest.fixture(scope="session")
def model() -> Path:
    return prepare_smollm2()


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Of processes with engines: each of pytest's workers keeps to a core of its own."""
    own = {"VLLM_CPU_KVCACHE_SPACE": "1"}
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    if worker:
        core = str(int(worker) % (os.cpu_count() or 1))
        own |= {BIND: core, "OMP_NUM_THREADS": "1"}
    return {**os.environ, **preload(), **own}


class Forks:
    """Programs in forks of a process that has imported vLLM (see ``forks.py``)."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment, self._folder = environment, folder
        self._jobs = count()
        self._told = (folder / "err").open("w+")
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("forks.py"))],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._told,
            text=True,
        )

    def __call__(
        self,
        program: str,
        *arguments: object,
        environment: dict[str, str] | None = None,
        folder: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a script beside this file, or the command ``lengthwise``, to its end."""
        number = next(self._jobs)
        out, err = self._folder / f"{number}.out", self._folder / f"{number}.err"
        for file in (out, err):
            file.touch()
        if program != "lengthwise":
            program = str(Path(__file__).with_name(program))
        given = [program, *map(str, arguments)]
        job = {
            **{"program": given[0], "arguments": given[1:], "out": str(out), "err": str(err)},
            **{"environment": environment or self._environment, "folder": str(folder or Path())},
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, (self._folder / "err").read_text()[-3000:]
        return subprocess.CompletedProcess(given, int(answer), out.read_text(), err.read_text())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._told.close()


@pytest.fixture(scope="session")
def forks(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """``forks(program, *arguments)``: a program in a process of its own, run to its end."""
    made = Forks(environment, tmp_path_factory.mktemp("forks"))
    yield made
    made.close()


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
    """``running(log, port, command)``: a server of ours as long as the block lasts.

    Further arguments are its environment variables.
    """

    @contextmanager
    def run(log: Path, port: int, command: list[str], **own: str) -> Iterator[tuple[str, int]]:
        command = [sys.executable, "-m", "lengthwise.cli", *command]
        command += ["--port", str(port), "--host", "127.0.0.1"]
        settings = {**environment, "VLLM_LOGGING_LEVEL": "INFO", "HF_HUB_OFFLINE": "1"}
        # With /pause, /resume and /sleep.
        settings["VLLM_SERVER_DEV_MODE"] = "1"
        settings |= own
        settings.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
        if "--data-parallel-size" in command and BIND in settings:
            # Every engine wants cores by name: here all of them share the worker's.
            engines = int(command[command.index("--data-parallel-size") + 1])
            settings[BIND] = "|".join([settings[BIND]] * engines)
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
    def serve(log: Path, port: int, flags: list[str], **own: str) -> Iterator[str]:
        more = ["--max-model-len", "1024", "--enforce-eager"]
        command = ["serve", str(model), "--learn", "off", *flags, *more]
        with running(log, port, command, **own) as (address, _):
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
def drive(tmp_path: Path, model: Path, environment: dict[str, str], forks: Forks) -> Drive:
    """Runs requests through a fresh engine: ``drive(policy, requests, **engine)``.

    ``stock`` is vLLM's own scheduler, ``default`` ours with no setting at all.
    """

    def run(
        policy: str,
        requests: list[dict[str, Any]],
        seats: int = 4,
        settings: dict[str, Any] | None = None,
        recorded: bool = False,
        asynchronous: bool = False,
        served: Path = model,
        **engine: Any,
    ) -> dict[str, Any]:
        if policy == "stock":
            engine["scheduler_cls"] = "lengthwise.vllm.StockScheduler"
        else:
            engine["scheduler_cls"] = "lengthwise.vllm.Scheduler"
        if policy not in ("stock", "default"):
            engine["additional_config"] = {
                "lengthwise": {"policy": policy, "probe": "builtin", **(settings or {})}
            }
        number = len(list(tmp_path.glob("job-*")))
        job, out = tmp_path / f"job-{number}.json", tmp_path / f"out-{number}.json"
        job.write_text(
            json.dumps(
                {
                    "model": str(served),
                    "seats": seats,
                    "requests": requests,
                    "engine": {"block_size": 32, **engine},
                    "recorded": recorded,
                    "asynchronous": asynchronous,
                }
            )
        )
        traced = {**environment, "LENGTHWISE_TRACE": str(tmp_path / f"trace-{number}")}
        ranks = engine.get("tensor_parallel_size", 1) * engine.get("pipeline_parallel_size", 1)
        if ranks > 1:
            # vLLM wants a list of cores for each; they share this worker's.
            cores = environment.get(BIND, "0")
            traced[BIND] = "|".join([cores] * ranks)
        done = forks("drive.py", job, out, environment=traced)
        assert done.returncode == 0, done.stderr[-3000:]
        result: dict[str, Any] = json.loads(out.read_text())
        return result

    return run


def requests_of(
    prompts: list[list[int]], every: int = 2, max_tokens: int = 12
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


@pytest.fixture(scope="session")
def longer(prompts: list[list[int]]) -> list[dict[str, Any]]:
    """Answers so long that no seat is to spare before the last requests."""
    return requests_of(prompts, max_tokens=16)
