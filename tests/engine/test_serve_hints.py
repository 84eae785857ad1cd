"""Whatever clients put into hints, the server answers, and goes on answering."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from lengthwise.vllm.hints import (
    DEADLINE_HINT,
    EXPECTED_HINT,
    ORACLE_HINT,
    PREDICTED_HINT,
    TEMPLATE_HINT,
)
from lengthwise.vllm.piece import KEY as SLICE
from lengthwise.workload.clients import TENANT_HINT

HINTS = [
    *(PREDICTED_HINT, EXPECTED_HINT, ORACLE_HINT, TENANT_HINT, TEMPLATE_HINT, DEADLINE_HINT),
    SLICE,
]

VALUES: list[Any] = [
    *("soon", "30", "", "nan", "\ud800", "\x00\n\x1b[2J", "x" * 10**6, "9" * 5000),
    *(0, 1, -1, 7, 0.001, -0.0, 1e-320, 12.5, 2**31, 2**63, 2**64, -(2**63), 10**30, 10**4000),
    *(math.nan, math.inf, -math.inf, 1e308, -1e308, True, False, None),
    *([], [1], [math.nan], ["a", 1], [[1]], list(range(10**4)), {}, {"a": 1}, {"a": {"b": []}}),
]

FACTS: list[Any] = [
    *({}, {"generated": []}, {"generated": [5], "max_tokens": 90, "more": 1}),
    *({"generated": [5], "max_tokens": most} for most in (-1, 0, "9", None, 2**63 - 1)),
    *({"generated": tokens, "max_tokens": 90} for tokens in (5, "ab", [-1], [10**9], ["a"], [[]])),
    *({"generated": [5] * many, "max_tokens": 10**6} for many in (1, 500, 2000)),
]


@pytest.fixture(scope="module")
def server(serving: Any, port: int, tmp_path_factory: Any) -> Iterator[tuple[str, Path]]:
    """A server whose policy reads every hint that a policy reads; its address and its log."""
    log = tmp_path_factory.mktemp("hints") / "log"
    flags = ["--policy", "trail+fair+priority+slice:8", "--predictor", "builtin"]
    flags += ["--block-size", "32", "--max-num-seqs", "16", "--enable-scale-out"]
    with serving(log, port, flags) as address:
        yield address, log


def bodies(model: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Paths and bodies: each odd value under each key, on each route."""
    for value in VALUES:
        said = [{"vllm_xargs": {hint: value}} for hint in HINTS]
        said += [{"priority": value}, {"vllm_xargs": value}]
        said.append({"vllm_xargs": dict.fromkeys(HINTS, value), "priority": 1})
        for each in said:
            asked = {"model": str(model), "max_tokens": 1, **each}
            yield "/v1/completions", {**asked, "prompt": "Rain is"}
            yield "/v1/chat/completions", {**asked, "messages": [{"role": "user", "content": "Hi"}]}
    # This route takes dictionaries, so slices can be forged.
    for value in [*FACTS, *VALUES]:
        for hint in (SLICE, PREDICTED_HINT):
            params = {"max_tokens": 12, "temperature": 0, "extra_args": {hint: value}}
            asked = {"model": str(model), "token_ids": [7, 8, 9], "sampling_params": params}
            yield "/inference/v1/generate", asked


def headers(body: dict[str, Any]) -> dict[str, str]:
    """The priority as vLLM's header too, which is not checked as the body's is."""
    said = {"content-type": "application/json"}
    if isinstance(body.get("priority"), int) and abs(body["priority"]) < 10**40:
        said["X-Vllm-Priority"] = str(int(body["priority"]))
        body["priority"] = 0
    return said


def test_no_hint_harms_the_server(server: tuple[str, Path], model: Path) -> None:
    address, log = server
    plain = {"model": str(model), "prompt": "Rain is", "max_tokens": 24, "temperature": 0}

    def answer() -> Any:
        found = httpx.post(f"{address}/v1/completions", json=plain, timeout=120)
        found.raise_for_status()
        return found.json()["choices"], found.json()["usage"]

    before, begun = answer(), time.monotonic()
    with httpx.Client(timeout=300, limits=httpx.Limits(max_connections=16)) as client:

        def ask(path: str, body: dict[str, Any]) -> tuple[str, int, str]:
            head = headers(body)
            found = client.post(address + path, content=json.dumps(body), headers=head)
            return path, found.status_code, json.dumps(body)[:200]

        with ThreadPoolExecutor(16) as pool:
            tried = list(pool.map(lambda each: ask(*each), bodies(model)))
    assert [each for each in tried if each[1] != 200 and not 400 <= each[1] < 500] == []
    served = Counter(path for path, status, _ in tried if status == 200)
    assert min(served.values()) > 40
    assert len(tried) > 600
    assert answer() == before
    lines = [line for line in log.read_text().splitlines() if "lengthwise ignores" in line]
    assert 1 <= len(lines) <= 1 + (time.monotonic() - begun) / 60
    assert max(map(len, lines)) < 400
