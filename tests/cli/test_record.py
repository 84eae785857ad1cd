"""``lengthwise record`` as a user runs it: files, a pipe, and the spans of a server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from lengthwise.cli.main import main

ID = "chatcmpl-0123456789abcdef"
HEAD = "INFO 11-27 10:00:00 [x.py:1]"
LOG = (
    f"{HEAD} Request {ID} details: prompt: 'my words', prompt_token_ids: [1, 2, 3], "
    "prompt_embeds shape: None.\n"
    f"{HEAD} Generated response {ID} details: output_token_ids: [4, 5]\n"
    f"{HEAD} Generated response {ID}: output: 'my answer', finish_reason: stop\n"
)
SAID = {"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 7}
SPAN = {
    **{"name": "llm_request", "startTimeUnixNano": "1790000000000000000"},
    "attributes": [{"key": key, "value": {"intValue": value}} for key, value in SAID.items()],
}
COMMAND = [sys.executable, "-m", "lengthwise.cli", "record"]


def rows(out: Path) -> list[tuple[int, int]]:
    lines = map(json.loads, out.read_text().splitlines())
    return [(line["prompt_tokens"], line["output_tokens"]) for line in lines]


def test_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, out = tmp_path / "log", tmp_path / "out.jsonl"
    log.write_text(
        LOG + f"{HEAD} Request {ID} details: prompt: 'x', prompt_token_ids: [1], "
        "prompt_embeds shape: None.\n"
    )
    assert main(["record", str(log), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "left out: no end in the log" in said
    assert f"1 requests recorded in {out}" in said
    assert rows(out) == [(3, 2)]
    assert "my" not in out.read_text()
    assert main(["record", str(log), "--out", str(out)]) == 2
    assert "there already" in capsys.readouterr().err
    assert main(["record", str(log), "--out", str(out), "--append"]) == 0
    assert rows(out) == [(3, 2)] * 2


def test_a_pipe(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    done = subprocess.run(
        [*COMMAND, "-", "--out", str(out)], input=LOG, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert rows(out) == [(3, 2)]


def test_spans_that_are_sent(tmp_path: Path) -> None:
    """It tells its address, writes what is sent at once, and ends well when it is told to."""
    pytest.importorskip("opentelemetry.proto", reason="needs the extra record")
    out = tmp_path / "out.jsonl"
    with subprocess.Popen(
        [*COMMAND, "--listen", "127.0.0.1:0", "--out", str(out)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN, SPAN]}]}]}
        assert httpx.post(address, json=body).status_code == 200
        assert rows(out) == [(5, 7)] * 2
        process.send_signal(signal.SIGTERM)
        said = process.stdout.read()
    assert process.returncode == 0
    assert f"2 requests recorded in {out}" in said


def test_listening_ends_after_so_many_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("opentelemetry.proto", reason="needs the extra record")
    out = tmp_path / "out.jsonl"
    begin = time.monotonic()
    given = ["record", "--listen", "[::1]:0", "--out", str(out), "--seconds", "0.2"]
    if main(given) == 2:
        pytest.skip(f"no IPv6 here: {capsys.readouterr().err}")
    assert time.monotonic() - begin < 20
    assert "http://[::1]:" in capsys.readouterr().out
