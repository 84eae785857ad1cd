"""Two engines behind two API servers: each schedules its own requests, the answers are stock's."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from lengthwise.vllm.hints import PREDICTED_HINT
from lengthwise.workload.clients import TENANT_HINT

HINTS: list[dict[str, Any]] = [
    {},
    {PREDICTED_HINT: 9},
    {PREDICTED_HINT: "soon"},
    {TENANT_HINT: "a"},
]

SLICES = ["--policy", "fcfs", "--slice", "8", "--block-size", "32"]


@pytest.mark.parametrize("flags", [[], SLICES], ids=["lengthwise", "slices"])
def test_two_engines_and_two_servers(
    flags: list[str],
    serving: Any,
    drive: Any,
    port: int,
    model: Path,
    prompts: list[list[int]],
    tmp_path: Path,
) -> None:
    asked = [
        {"id": f"r{i}", "step": 0, "prompt_ids": ids, "max_tokens": 6 + 7 * (i % 4)}
        for i, ids in enumerate([*prompts, *prompts[:2]])
    ]
    log = tmp_path / "log"
    both = ["--data-parallel-size", "2", "--api-server-count", "2", "--max-num-seqs", "4"]
    with serving(log, port, [*flags, *both]) as address:

        def answer(i: int) -> list[int]:
            request = asked[i]
            body = {"model": str(model), "temperature": 0, "return_token_ids": True}
            body |= {"prompt": request["prompt_ids"], "max_tokens": request["max_tokens"]}
            body |= {"vllm_xargs": HINTS[i % len(HINTS)]}
            found = httpx.post(f"{address}/v1/completions", json=body, timeout=6000)
            found.raise_for_status()
            return list(found.json()["choices"][0]["token_ids"])

        with ThreadPoolExecutor(len(asked)) as pool:
            ours = list(pool.map(answer, range(len(asked))))
        metrics = httpx.get(f"{address}/metrics", timeout=600).text
    stock = drive("stock", asked)["answers"]
    assert {f"r{i}": tokens for i, tokens in enumerate(ours)} == stock
    served = successes(metrics)
    assert sorted(served) == ["0", "1"]
    assert sum(served.values()) == len(asked)
    assert min(served.values()) > 0
    # Which of them a connection reaches is the kernel's affair: one may get them all.
    lines = log.read_text().splitlines()
    for process in ("ApiServer_0", "ApiServer_1"):
        assert any(process in line for line in lines)


def successes(metrics: str) -> dict[str, float]:
    """Requests that each engine has served to their end."""
    found: dict[str, float] = {}
    for line in metrics.splitlines():
        if line.startswith("vllm:request_success_total{"):
            engine = line.partition('engine="')[2].partition('"')[0]
            found[engine] = found.get(engine, 0.0) + float(line.split()[-1])
    return found
