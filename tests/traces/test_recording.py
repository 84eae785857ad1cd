"""Recording that goes on: what is piped, what grows, and when it ends."""

from __future__ import annotations

import gzip
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from lengthwise.errors import UserError
from lengthwise.traces.read import read_trace
from lengthwise.traces.recorded import Output
from lengthwise.traces.recording import Until, files, follow, kind_of

ID = "chatcmpl-0123456789abcde"


def lines(number: int) -> str:
    """All that a log says of a request."""
    head = "INFO 11-27 10:00:00 [x.py:1]"
    return (
        f"{head} Request {ID}{number} details: prompt: 'hi', prompt_token_ids: [1, 2, 3], "
        "prompt_embeds shape: None.\n"
        f"{head} Generated response {ID}{number} details: output_token_ids: [4, 5]\n"
        f"{head} Generated response {ID}{number}: output: 'ho', finish_reason: stop\n"
    )


def test_a_log_is_followed_until_so_many_requests(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(lines(0))

    def serve() -> None:
        time.sleep(0.3)
        with log.open("a") as more:
            more.write(lines(1) + lines(2) + lines(3))

    server = threading.Thread(target=serve)
    server.start()
    output = Output(tmp_path / "out", append=False)
    reader = follow(log, output, Until(requests=3))
    assert output.rows == 3
    server.join()
    assert reader.found.left_out == ()
    assert (tmp_path / "out").read_text().count("\n") == 3


def test_it_ends_after_so_many_seconds(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(lines(0))
    output = Output(tmp_path / "out", append=False)
    follow(log, output, Until(seconds=0.1))
    assert output.rows <= 1


def test_signals_end_the_recording_only(tmp_path: Path) -> None:
    until = Until()
    before = signal.getsignal(signal.SIGTERM)
    output = Output(tmp_path / "out", append=False)
    with until.signals():
        assert not until.reached(output)
        os.kill(os.getpid(), signal.SIGTERM)
        assert until.reached(output)
    assert signal.getsignal(signal.SIGTERM) == before


def test_rotated_files_are_read_from_the_oldest(tmp_path: Path) -> None:
    """A request that began in one file ends in the next, however they are named."""
    new, old = tmp_path / "a.log", tmp_path / "b.log"
    first, *rest = lines(0).splitlines()
    old.write_text(first + "\n")
    new.write_text("\n".join(rest))
    os.utime(old, (1.79e9, 1.79e9))
    rows, found = files([new, old])
    assert len(rows) == 1
    assert found.left_out == ()


def test_kinds_are_told_by_content_and_not_mixed(tmp_path: Path) -> None:
    assert kind_of(b'{"resourceSpans": []}', "it") == "spans"
    assert kind_of(lines(0).encode(), "it") == "vllm-log"
    for other in (b"arrival_s,prompt_tokens\n", b'{"timestamp": 1, "hash_ids": []}', b""):
        with pytest.raises(UserError, match="it is neither a log of vLLM's server nor spans"):
            kind_of(other, "it")
    (tmp_path / "log").write_text(lines(0))
    (tmp_path / "spans").write_text('{"resourceSpans": []}')
    with pytest.raises(UserError, match="would count requests twice"):
        files([tmp_path / "log", tmp_path / "spans"])


@pytest.mark.parametrize("packed", [False, True])
def test_a_log_and_spans_are_traces_as_they_are(tmp_path: Path, packed: bool) -> None:
    """What ``record`` would write, without recording it first."""
    said = {"gen_ai.usage.prompt_tokens": 5, "gen_ai.usage.completion_tokens": 7}
    attributes = [{"key": key, "value": {"intValue": value}} for key, value in said.items()]
    own = [
        {"name": "llm_request", "startTimeUnixNano": start, "attributes": attributes}
        for start in ("1790000003000000000", "1790000001000000000")
    ]
    scope = {"name": "vllm.llm_engine"}
    spans = json.dumps({"resourceSpans": [{"scopeSpans": [{"scope": scope, "spans": own}]}]})
    for text, format, arrivals in (
        (lines(0) + lines(1).replace("10:00:00", "10:00:02"), "vllm-log", [0, 2]),
        (spans, "spans", [0, 2]),
    ):
        file = tmp_path / format
        file.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
        trace = read_trace(file)
        assert trace.format == format
        assert trace.workload.arrival.tolist() == arrivals
        assert (trace.rows, trace.left_out) == (2, ())
    assert read_trace(tmp_path / "vllm-log").observed is not None
