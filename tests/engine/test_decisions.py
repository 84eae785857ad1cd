"""Decisions as a real server tells them: its log, vLLM's JSON log, spans of clients' traces.

One server, more requests than seats; all that it told is looked at when it has ended.
"""

from __future__ import annotations

import base64
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Finding
from lengthwise.doctor.checks.server import Server
from lengthwise.live.decision import Decision
from lengthwise.traces.receiver import Receiver
from lengthwise.vllm.spans import NAME

pytest.importorskip("opentelemetry.sdk", reason="vLLM sends spans with OpenTelemetry's SDK")

Serving = Callable[..., AbstractContextManager[str]]

SECRET = "umbrella"
REQUESTS = 14
PARENT = "00f067aa0ba902b7"


def trace(number: int) -> str:
    return f"{number + 1:032x}"


class Collector(Receiver):
    """An OTLP receiver that keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), lambda rows: None)
        self.documents: list[Any] = []

    def take(self, document: object) -> None:
        self.documents.append(document)

    def ours(self) -> Iterator[dict[str, Any]]:
        """Those of ours."""
        for document in self.documents:
            for resource in document["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    yield from (each for each in scope["spans"] if each["name"] == NAME)


@dataclass
class Told:
    """What a server told, and what its clients saw: tokens of each request by its id."""

    folder: Path
    collector: Collector
    seen: list[tuple[str, int]]
    doctor: Finding | None = None

    def whole(self) -> bool:
        """Whether the end of every request, and every span that is due, has come."""
        try:
            ends = [each for each in self.lines() if each["kind"] in ("finished", "aborted")]
        except (OSError, ValueError):
            return False  # it is written, or rotated, at this moment
        return len(ends) == REQUESTS + 1 and len(list(self.collector.ours())) == REQUESTS - 1

    def lines(self) -> list[dict[str, Any]]:
        """The decision log's, of all its files, oldest first."""
        files = sorted(self.folder.glob("decisions*"), key=lambda each: each.name, reverse=True)
        texts = [each.read_text() for each in files]
        return [json.loads(line) for text in texts for line in text.splitlines()]


def ask(address: str, model: Path, number: int) -> tuple[str, int]:
    """One request: its id, and the tokens of its answer."""
    flags = "00" if number == 1 else "01"
    headers = {"traceparent": f"00-{trace(number)}-{PARENT}-{flags}"} if number else {}
    body = {
        **{"model": str(model), "max_tokens": 3 + 9 * (number % 3), "temperature": 0},
        **{"prompt": f"Tell {number} things about an {SECRET}.", "ignore_eos": True},
    }
    answer = httpx.post(f"{address}/v1/completions", json=body, headers=headers, timeout=600)
    answer.raise_for_status()
    return answer.json()["id"], answer.json()["usage"]["completion_tokens"]


def leave(address: str, model: Path) -> None:
    """A client that goes away after the first token."""
    body = {"model": str(model), "prompt": SECRET, "max_tokens": 900, "stream": True}
    with httpx.stream("POST", f"{address}/v1/completions", json=body, timeout=600) as answer:
        next(answer.iter_lines())


def logging_config(folder: Path) -> Path:
    """vLLM's log as JSON: decisions at level DEBUG, all else at INFO."""
    path = folder / "logging.json"
    out = {"class": "logging.FileHandler", "filename": str(folder / "vllm.jsonl")}
    config = {
        **{"version": 1, "disable_existing_loggers": False},
        "formatters": {"json": {"()": "pythonjsonlogger.json.JsonFormatter"}},
        "handlers": {"out": {**out, "formatter": "json"}},
        "loggers": {
            "vllm": {"handlers": ["out"], "level": "INFO", "propagate": False},
            "vllm.lengthwise.decisions": {"level": "DEBUG"},
        },
    }
    path.write_text(json.dumps(config))
    return path


@pytest.fixture(scope="module")
def told(serving: Serving, model: Path, port: int, tmp_path_factory: Any) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("told")
    with Collector() as collector:
        endpoint = f"http://127.0.0.1:{collector.server_address[1]}/v1/traces"
        flags = ["--max-num-seqs", "3", "--otlp-traces-endpoint", endpoint]
        flags += ["--lengthwise-log", str(folder / "decisions"), "--lengthwise-spans", "1"]
        flags += ["--lengthwise-log-mib", "0.008"]
        own = {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"}
        own |= {"VLLM_LOGGING_CONFIG_PATH": str(logging_config(folder))}
        with serving(folder / "log", port, flags, **own) as address:
            leave(address, model)
            with ThreadPoolExecutor(REQUESTS) as pool:
                seen = list(pool.map(lambda i: ask(address, model, i), range(REQUESTS)))
            found = Told(folder, collector, seen)
            end = time.monotonic() + 300
            while not found.whole() and time.monotonic() < end:
                time.sleep(0.1)
            found.doctor = Server().found(Asked(url=address))
        yield found


def test_each_request_has_its_lines_through_the_log_and_its_rotation(told: Told) -> None:
    assert (told.folder / "decisions.1").exists()
    found = told.lines()
    assert [each["index"] for each in found] == list(range(1, len(found) + 1))
    by_request = defaultdict(list)
    for line in found:
        by_request[line["request"]].append(line)
    for request, tokens in told.seen:
        (lines,) = (each for id, each in by_request.items() if id.startswith(request))
        kinds = [line["kind"] for line in lines]
        assert kinds[:2] == ["arrived", "admitted"]
        assert (kinds[-1], lines[-1]["reason"], lines[-1]["tokens"]) == (
            "finished",
            "length",
            tokens,
        )
    others = [line for line in found if not line["request"].startswith(tuple(dict(told.seen)))]
    assert [line["kind"] for line in others] == ["arrived", "admitted", "aborted"]
    assert max(line["waited"] for line in found) > 0


def test_vllms_json_log_has_the_same(told: Told) -> None:
    lines = map(json.loads, (told.folder / "vllm.jsonl").read_text().splitlines())
    found = [line["lengthwise"] for line in lines if "lengthwise" in line]
    assert found == told.lines()
    assert found[0].keys() == set(Decision.__struct_fields__)


def test_spans_are_in_their_clients_traces(told: Told) -> None:
    spans = {hexed(each["traceId"]): each for each in told.collector.ours()}
    clients = {trace(i) for i in range(2, REQUESTS)}
    # Number 0 sent no trace: it has one of its own. Number 1 did not want its trace sampled.
    assert len(spans) == len(clients) + 1
    assert clients < spans.keys()
    ends = {line["request"]: line for line in told.lines() if line["kind"] == "finished"}
    for id in clients:
        span = spans[id]
        said = {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}
        end = ends[said["gen_ai.request.id"]]
        assert hexed(span["parentSpanId"]) == PARENT
        assert int(said["lengthwise.tokens"]) == end["tokens"]
        assert float(said["lengthwise.waited"]) == end["waited"]
        names = [each["name"].removeprefix("lengthwise.") for each in span["events"]]
        lines = [line for line in told.lines() if line["request"] == end["request"]]
        assert names == [line["kind"] for line in lines]


def test_the_doctor_finds_the_server_well(told: Told) -> None:
    assert told.doctor is not None
    assert told.doctor.level == "ok", told.doctor.says
    assert "its engines answer" in told.doctor.says


def test_no_text_of_a_prompt_is_told(told: Told) -> None:
    texts = [each.read_text() for each in told.folder.iterdir()]
    assert not any(SECRET in text for text in texts)
    assert SECRET not in json.dumps(told.collector.documents)


def hexed(coded: str) -> str:
    """An id of a span, which protobuf's JSON has in base64."""
    return base64.b64decode(coded).hex()
