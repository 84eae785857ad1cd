"""Ray Serve's side of the routing, without Ray: it never raises, and never spins."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray.serve", reason="needs Ray Serve: pip install lengthwise[ray]")

from lengthwise.ray.balancer import Balancer
from lengthwise.ray.router import _PAUSE_S, LengthwiseRouter
from lengthwise.ray.status import Status
from lengthwise.routing import Capacity


def router(*names: str) -> Any:
    made: Any = LengthwiseRouter.__new__(LengthwiseRouter)
    made.balancer, made._ids = Balancer("least-in-flight", Capacity(2)), {}
    made.balancer.sees({name: Status(time.time(), f"http://{name}") for name in names})
    return made


def replica(name: str) -> Any:
    return SimpleNamespace(replica_id=SimpleNamespace(unique_id=name))


def call(id: str) -> Any:
    return SimpleNamespace(args=[], metadata=SimpleNamespace(internal_request_id=id))


def choose(it: Any, names: str, pending: Any = None) -> list[list[str]]:
    found = asyncio.run(it.choose_replicas([replica(name) for name in names], pending))
    return [[each.replica_id.unique_id for each in rank] for rank in found]


def test_the_balancer_s_choice_comes_first() -> None:
    it = router("a", "b")
    first = choose(it, "ab", call("1"))
    second = choose(it, "ab", call("2"))
    assert {first[0][0], second[0][0]} == {"a", "b"}
    assert [sorted(name for rank in each for name in rank) for each in (first, second)] == [
        ["a", "b"]
    ] * 2


def test_a_call_that_was_not_taken_is_placed_once_more_and_counted_once() -> None:
    it = router("a", "b")
    for _ in range(3):
        choose(it, "ab", call("1"))
    assert sum(it.balancer.describe()["in_flight"].values()) == 1


def test_any_replica_will_do_where_none_is_known_or_all_goes_wrong() -> None:
    assert choose(router(), "ab", call("1")) in ([["a", "b"]], [["b", "a"]])
    broken = router("a")
    broken.balancer = None
    assert sorted(choose(broken, "ab", call("1"))[0]) == ["a", "b"]
    assert choose(router("a"), "a") == [["a"]]


def test_it_pauses_before_it_names_nobody() -> None:
    start = time.monotonic()
    assert choose(router(), "", call("1")) == [[]]
    assert time.monotonic() - start >= 0.9 * _PAUSE_S
