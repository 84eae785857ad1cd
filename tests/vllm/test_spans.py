"""Spans of finished requests: whose trace they are in, what they say, and which are made."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="vLLM sends spans with OpenTelemetry's SDK")

from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lengthwise.live.decision import Decision, Kind
from lengthwise.vllm import spans as module
from lengthwise.vllm.spans import RequestSpans

SENT = InMemorySpanExporter
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time to send."""
    monkeypatch.setattr(module, "_PATIENCE_S", 600.0)


def parent(trace: str = TRACE, sampled: bool = True) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-00f067aa0ba902b7-{sampled:02}"}


def decided(at: float, kind: Kind, request: str = "r", **more: Any) -> Decision:
    return Decision(1, at, kind, 17, request, **more)


def course(request: str = "r") -> list[Decision]:
    return [
        decided(10.0, "arrived", request),
        decided(12.0, "admitted", request, waited=2.0, overtook=3),
        decided(13.0, "paused", request, reason="seat", winner=23, left=310.0, winner_left=22.0),
        decided(14.0, "evicted", request, reason="memory", recompute=40),
        decided(
            *(15.5, "finished", request),
            **{"reason": "stop", "prompt": 9, "tokens": 61, "predicted": 70.0, "ttft": 2.5},
            **{"tenant": "acme", "service": "batch"},
            **{"waited": 2.0, "overtaken": 4},
        ),
    ]


@contextmanager
def spans(
    share: float = 1.0, headers: Mapping[str, Any] | None = None
) -> Iterator[tuple[RequestSpans, SENT]]:
    sent = InMemorySpanExporter()
    made = RequestSpans("unused", share, (headers or {}).get, sent)
    yield made, sent
    made.close()


def made_of(
    decisions: Sequence[Decision], share: float = 1.0, headers: Mapping[str, Any] | None = None
) -> Sequence[Any]:
    with spans(share, headers) as (listener, sent):
        for each in decisions:
            listener.add(each)
    return sent.get_finished_spans()


def test_a_span_lasts_from_arrival_to_the_last_token_and_has_its_decisions_as_events() -> None:
    (span,) = made_of(course())
    assert (span.name, span.start_time, span.end_time) == (module.NAME, 10 * 10**9, 155 * 10**8)
    assert [(each.name, each.timestamp / 1e9) for each in span.events] == [
        *(("lengthwise.arrived", 10.0), ("lengthwise.admitted", 12.0)),
        *(("lengthwise.paused", 13.0), ("lengthwise.evicted", 14.0), ("lengthwise.finished", 15.5)),
    ]
    assert dict(span.events[2].attributes) == {
        **{"lengthwise.reason": "seat", "lengthwise.winner": 23},
        **{"lengthwise.left": 310.0, "lengthwise.winner_left": 22.0},
    }
    assert span.attributes["lengthwise.predicted"] == 70.0
    assert span.attributes["lengthwise.tokens"] == 61
    assert span.attributes["lengthwise.waited"] == 2.0
    assert span.attributes["lengthwise.overtook"] == 3
    assert span.attributes["lengthwise.overtaken"] == 4
    assert span.attributes["lengthwise.paused"] == span.attributes["lengthwise.evicted"] == 1
    assert span.attributes["lengthwise.class"] == "batch"


def test_it_is_a_child_of_the_clients_span() -> None:
    (span,) = made_of(course(), headers={"r": parent()})
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == "00f067aa0ba902b7"


def test_a_client_that_does_not_sample_its_trace_gets_no_span() -> None:
    assert not made_of(course(), headers={"r": parent(sampled=False)})


@pytest.mark.parametrize("junk", [None, {}, {"traceparent": "junk\r\n"}, {"traceparent": "00-0-0"}])
def test_without_a_trace_of_the_client_it_is_one_of_its_own(junk: Any) -> None:
    (span,) = made_of(course(), headers={"r": junk})
    assert span.parent is None


def test_a_trace_is_sampled_by_its_id_everywhere_alike() -> None:
    draw = random.Random(7)
    traces = {f"r{i}": parent(f"{draw.getrandbits(128):032x}") for i in range(400)}
    decisions = [each for request in traces for each in course(request)]
    first, second = (made_of(decisions, 0.25, traces) for _ in range(2))
    ids = [each.context.trace_id for each in first]
    assert ids == [each.context.trace_id for each in second]
    assert 60 <= len(ids) <= 140


def test_what_did_not_finish_or_came_before_has_none() -> None:
    assert not made_of([*course()[:-1], decided(15.0, "aborted")])
    assert not made_of(course()[1:])


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_REQUESTS", 10)
    with spans() as (listener, sent):
        for i in range(50):
            listener.add(decided(1.0, "arrived", f"r{i}"))
        assert len(listener._courses) == 10
        for _ in range(500):
            listener.add(decided(2.0, "paused", "r49"))
        listener.add(decided(3.0, "finished", "r49"))
    (span,) = sent.get_finished_spans()
    assert len(span.events) == 64
    assert span.attributes["lengthwise.left_out"] == 502 - 64
    assert span.attributes["lengthwise.paused"] == 500


def test_a_clients_names_are_visible_and_short() -> None:
    (span,) = made_of(course("\ud800\x1b[2J" + "x" * 10**5))
    said = span.attributes["gen_ai.request.id"]
    assert said.startswith(r"\ud800\x1b[2Jx")
    assert len(said) < 300
