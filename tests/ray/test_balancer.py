"""Who gets which request, and what becomes of replicas that are gone."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.prediction import point
from lengthwise.ray.asked import Asked, read
from lengthwise.ray.balancer import Balancer
from lengthwise.ray.status import Status
from lengthwise.routing import ROUTERS, Capacity, prefix_of


def replica(name: str, at: float | None = None, **more: Any) -> Status:
    return Status(time.time() if at is None else at, f"http://{name}", **more)


def balancer(router: str = "least-in-flight", *names: str) -> Balancer:
    made = Balancer(router, Capacity(4))
    made.sees({name: replica(name) for name in names or ("a", "b")})
    return made


def send(it: Balancer, id: str, **more: Any) -> str | None:
    asked = Asked(id, {"prompt": "x"}, **more)
    it.submit(asked)
    place = it.place(asked)
    return None if place is None else place.key


@pytest.mark.parametrize("router", sorted(ROUTERS))
def test_every_router_finds_a_place(router: str) -> None:
    it = balancer(router)
    assert {send(it, f"{i}", size=400) for i in range(8)} == {"a", "b"}
    found = it.describe()
    assert sum(found["dispatched"].values()) == sum(found["in_flight"].values()) == 8


def test_without_replicas_there_is_no_place_and_nothing_is_kept() -> None:
    it = Balancer("least-work", Capacity(4))
    assert send(it, "x") is None
    assert it.any() is None
    it.finished("x", 0)
    it.sees({"a": replica("a"), "b": None})
    assert send(it, "x") == "a"
    assert it.describe()["in_flight"] == {"a": 1}


def test_a_replica_that_is_lost_gets_nothing_until_it_reports_again() -> None:
    it = balancer()
    send(it, "x")
    send(it, "y")
    it.lost("a")
    assert it.addresses() == {"b": "http://b"}
    it.sees({"a": replica("a", 1.0), "b": replica("b")})
    assert {send(it, f"{i}") for i in range(4)} == {"b"}
    it.sees({"a": replica("a", time.time() + 1.0), "b": replica("b")})
    assert send(it, "z") == "a"


def test_a_request_sent_again_is_predicted_once() -> None:
    asked: list[str] = []

    def predict(each: Asked, tokens: int) -> Any:
        asked.append(each.id)
        return point(30.0, "router")

    it = Balancer("predicted", Capacity(4), predict)
    it.sees({"a": replica("a"), "b": replica("b")})
    first = send(it, "x")
    assert first is not None
    it.lost(first)
    assert send(it, "x") not in (None, first)
    assert asked == ["x"]
    assert it.describe()["resubmitted"] == 1


def test_requests_of_other_ingresses_count_by_what_replicas_report() -> None:
    it = balancer("least-work")
    soon = time.time() + 1.0
    held = {f"theirs{i}": 5 for i in range(4)}
    left = dict.fromkeys(held, 300.0)
    it.sees({"a": replica("a", soon, held=held, left=left, pace=0.05), "b": replica("b", soon)})
    assert it.describe()["in_flight"] == {"a": 4, "b": 0}
    assert {send(it, f"{i}", size=40) for i in range(2)} == {"b"}


def test_what_replicas_predict_is_told() -> None:
    it = balancer()
    key = send(it, "x")
    assert key is not None
    it.sees({key: replica(key, time.time() + 1.0, held={"x": 5}, left={"x": 95.0}, pace=0.1)})
    assert it.describe()["told"] == {"x": 100.0}


def test_a_prompt_goes_where_its_beginning_is_cached() -> None:
    it = balancer("least-work")
    prompt = list(range(640))
    first = send(it, "one", ids=prompt, prefix=prefix_of(prompt))
    it.finished("one", 20)
    for i in range(6):
        longer = [*prompt, *range(1000 * i, 1000 * i + 64)]
        assert send(it, f"{i}", ids=longer, prefix=prefix_of(longer)) == first
        it.finished(f"{i}", 20)


def test_bytes_a_token_are_learned() -> None:
    it = balancer()
    body = b'{"messages": [{"role": "user", "content": "%s"}]}' % (b"x" * 2000)
    before = read("id", "/v1/chat/completions", body)
    for i in range(99):
        asked = read(f"{i}", "/v1/chat/completions", body)
        it.submit(asked)
        it.place(asked)
        it.finished(f"{i}", 1, prompt=asked.size // 2)
    assert before.tokens(it._bytes_a_token) == pytest.approx(before.size / 2, rel=0.1)


@settings(max_examples=30, deadline=None)
@given(
    router=st.sampled_from(sorted(ROUTERS)),
    events=st.lists(st.tuples(st.sampled_from("srlfub"), st.integers(0, 5)), max_size=40),
)
def test_whatever_happens_it_never_raises(router: str, events: list[tuple[str, int]]) -> None:
    it = balancer(router, "0", "1", "2")
    later = time.time()
    for event, number in events:
        later += 1.0
        if event == "s":
            key = send(it, f"{number}", size=100 * number)
            assert (key is None) == (not it.addresses())
        elif event == "r":
            names = [f"{i}" for i in range(number)]
            it.sees({name: replica(name, later, held={"3": 4}) for name in names})
        elif event == "l":
            it.lost(f"{number}")
        elif event == "f":
            it.finished(f"{number}", number, prompt=3)
        elif event == "u":
            it.use(router)
        else:
            it.streams(f"{number}", number)
        assert it.describe()["router"] == router
