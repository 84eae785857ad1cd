"""``lengthwise record`` beside a real server: its spans and its log against what clients saw."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

Serving = Callable[..., AbstractContextManager[str]]

RECORD = [sys.executable, "-m", "lengthwise.cli", "record"]
SECRET = "umbrella"

pytest.importorskip("opentelemetry.sdk", reason="vLLM sends spans with OpenTelemetry's SDK")


def ask(address: str, model: Path, number: int) -> tuple[str, int, int]:
    """A request, every other one streamed: its id, and its tokens as the server counts them."""
    body: dict[str, Any] = {
        **{"model": str(model), "max_tokens": 6 + 8 * (number % 3), "temperature": 0},
        "messages": [{"role": "user", "content": f"Tell {number} things about an {SECRET}."}],
    }
    if number % 2:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    answer = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=600)
    answer.raise_for_status()
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    last = json.loads(lines[-1]) if lines else answer.json()
    return last["id"], last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]


def written(out: Path) -> list[dict[str, Any]]:
    assert SECRET not in out.read_text()
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_spans_and_log_tell_what_clients_saw(
    serving: Serving, model: Path, port: int, tmp_path: Path
) -> None:
    log, spans, lines = tmp_path / "log", tmp_path / "spans.jsonl", tmp_path / "lines.jsonl"
    with subprocess.Popen(
        [*RECORD, "--listen", "127.0.0.1:0", "--requests", "10", "--out", str(spans)],
        stdout=subprocess.PIPE,
        text=True,
    ) as recorder:
        assert recorder.stdout is not None
        endpoint = recorder.stdout.readline().split()[-1]
        flags = ["--policy", "fcfs", "--max-num-seqs", "4", "--otlp-traces-endpoint", endpoint]
        flags += ["--enable-log-requests", "--enable-log-outputs"]
        own = {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
        own |= {"OTEL_BSP_SCHEDULE_DELAY": "200", "VLLM_LOGGING_LEVEL": "DEBUG"}
        with serving(log, port, flags, **own) as address, ThreadPoolExecutor(10) as pool:
            seen = list(pool.map(lambda number: ask(address, model, number), range(10)))
            said = recorder.stdout.read()
    assert (recorder.returncode, "10 requests recorded" in said) == (0, True)
    told = subprocess.run([*RECORD, str(log), "--out", str(lines)], capture_output=True, check=True)
    assert SECRET in log.read_text()
    assert b"10 requests recorded" in told.stdout
    for out in (spans, lines):
        rows = written(out)
        tokens = [(row["id"], row["prompt_tokens"], row["output_tokens"]) for row in rows]
        assert sorted(tokens) == sorted(seen)
    for row in written(spans):
        assert row["arrival_s"] <= row["first_s"] <= row["finish_s"]
        assert row["max_tokens"] in (6, 14, 22)
