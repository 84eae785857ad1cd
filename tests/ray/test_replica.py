"""What a replica tells its routers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lengthwise.live.state import EngineNow, RequestNow, Totals
from lengthwise.ray.replica import pace, status, with_own_log
from lengthwise.ray.status import Status, status_of
from lengthwise.vllm.flags import Flags, additional_config
from lengthwise.vllm.settings import Settings


def engine(number: int = 0, at: float = 0.0, steps: int = 0, **more: Any) -> EngineNow:
    given = {"running": 1, "paused": 0, "waiting": 0, "requests": [], **more}
    return EngineNow(
        engine=number,
        model="m",
        policy="fcfs",
        at=at,
        seats=4,
        waiting_by=[],
        longest_wait=0.0,
        kv_tokens=1000,
        kv_used=10,
        totals=Totals(steps=steps),
        **given,
    )


def row(routed: str, tokens: int, left: float | None) -> RequestNow:
    return RequestNow(1, "running", 9, 0, tokens, left, None, None, 0.0, 0, routed=routed)


def read(stats: dict[str, Any]) -> Status:
    found = status_of(stats)
    assert found is not None
    return found


def test_requests_are_named_as_the_route_names_them() -> None:
    rows = [row("a", 4, 30.5), row("b", 0, None), row("", 7, 9.0), row("gone", 1, 1.0)]
    found = read(status("http://x:1", {"a", "b", "c"}, [engine(requests=rows)], []))
    assert found.held == {"a": 4, "b": 0, "c": 0}
    assert found.left == {"a": 30.5}
    assert (found.seats, found.memory, found.address) == (4, 1000, "http://x:1")


def test_a_request_of_several_samples_lasts_as_long_as_the_longest() -> None:
    rows = [row("a", 4, 5.0), row("a", 9, 30.5), row("a", 1, None)]
    found = read(status("http://x:1", {"a"}, [engine(requests=rows)], []))
    assert (found.held, found.left) == ({"a": 9}, {"a": 30.5})


def test_an_engine_that_does_not_answer_still_has_its_requests_counted() -> None:
    found = read(status("http://x:1", {"a"}, [], []))
    assert (found.held, found.left, found.pace, found.seats) == ({"a": 0}, {}, None, 0)


def test_the_pace_is_that_of_engines_that_were_busy() -> None:
    before = [engine(0, 10.0, 100), engine(1, 10.0, 100, running=0)]
    now = [engine(0, 12.0, 140), engine(1, 12.0, 110)]
    assert pace(now, before) == pytest.approx(0.05)
    assert pace(now, []) is None
    assert pace([engine(0, 12.0, 100)], before) is None


def test_other_stats_are_no_status() -> None:
    assert status_of(None) is None
    assert status_of({}) is None
    assert status_of({"prefix": 3}) is None


def test_replicas_do_not_write_into_each_other_s_log() -> None:
    config = json.dumps(Settings(log="logs/decisions.jsonl").additional_config())
    flags = ["model", "--additional-config", config, "--port", "1"]
    assert with_own_log(flags, 0) == flags
    found = additional_config(Flags(with_own_log(flags, 2)))
    assert found["lengthwise"]["log"] == "logs/decisions.replica2.jsonl"
    silent = ["model", "--additional-config", json.dumps(Settings().additional_config())]
    assert with_own_log(silent, 2) == silent
