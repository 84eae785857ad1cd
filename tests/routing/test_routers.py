"""Routers: whom they choose, whatever the loads."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.prediction import Prediction, point
from lengthwise.errors import UserError
from lengthwise.routing import ROUTERS, Capacity, Fleet, Flight, make_router
from lengthwise.routing.predicted import added

NAMES = sorted(ROUTERS)


def fleet_of(name: str, instances: int, seats: int = 2, **capacity: object) -> Fleet:
    """Instances 0, 1, ... of so many seats; a request's id is its predicted length."""
    fleet = Fleet(make_router(name), lambda id: point(float(id.partition("-")[2]), "prompt"))
    for key in range(instances):
        fleet.join(key, Capacity(seats, pace=1.0, **capacity))  # type: ignore[arg-type]
    return fleet


def send(fleet: Fleet, id: str, now: float = 0.0) -> object:
    fleet.submit(id, 10)
    return fleet.route(now)[0].key


@given(
    name=st.sampled_from(NAMES),
    actions=st.lists(st.tuples(st.sampled_from("sfdj"), st.integers(0, 99)), max_size=60),
)
def test_requests_are_conserved_and_never_go_to_the_dead(
    name: str, actions: list[tuple[str, int]]
) -> None:
    fleet, alive, sent = fleet_of(name, 3), {0, 1, 2}, {}
    for now, (action, number) in enumerate(actions):
        if action == "s":
            fleet.submit(f"{now}-{number + 1}", number)
        elif action == "f" and sent:
            id = sorted(sent)[number % len(sent)]
            del sent[id]
            fleet.finished(id, 1 + number, now)
        elif action == "d" and alive:
            key = sorted(alive)[number % len(alive)]
            alive.discard(key)
            lost = fleet.died(key)
            assert sorted(lost) == sorted(id for id, at in sent.items() if at == key)
            for id in lost:
                del sent[id]
                fleet.submit(id, 1)
        elif action == "j":
            alive.add(number % 3)
            if number % 3 not in fleet.instances:
                fleet.join(number % 3, Capacity(2))
        for each in fleet.route(now):
            assert each.key in alive
            sent[each.id] = each.key
        assert not (fleet.waiting and alive)
        held = Counter(sent.values())
        assert {key: each.in_flight for key, each in fleet.instances.items()} == {
            key: held[key] for key in alive
        }
        assert {id: fleet.where(id) for id in sent} == sent


@pytest.mark.parametrize("name", NAMES)
def test_a_request_is_predicted_once_however_often_it_is_sent(name: str) -> None:
    asked: Counter[str] = Counter()

    def predict(id: str) -> Prediction | None:
        asked[id] += 1
        return point(100.0, "prompt")

    fleet = Fleet(make_router(name), predict)
    fleet.join("a", Capacity(1))
    for id in "xyz":
        send(fleet, id)
    for id in fleet.died("a"):
        fleet.submit(id, 10)
    assert fleet.route(1.0) == []
    fleet.join("b", Capacity(1))
    assert {each.id for each in fleet.route(2.0)} == set("xyz")
    fleet.take_back("x", 3.0)
    send(fleet, "x", 3.0)
    assert asked == (dict.fromkeys("xyz", 1) if fleet.router.predicts else {})
    assert fleet.predictions == sum(asked.values())
    assert fleet.resubmitted == 4


def test_round_robin_takes_turns() -> None:
    fleet = fleet_of("round-robin", 3)
    assert [send(fleet, f"{i}-1") for i in range(6)] == [0, 1, 2, 0, 1, 2]


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40))
def test_least_in_flight_never_differs_by_more_than_one(lengths: list[int]) -> None:
    fleet = fleet_of("least-in-flight", 4)
    for i, length in enumerate(lengths):
        send(fleet, f"{i}-{length}")
    held = [each.in_flight for each in fleet.instances.values()]
    assert max(held) - min(held) <= 1


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40))
def test_power_of_two_avoids_the_fullest(lengths: list[int]) -> None:
    fleet = fleet_of("p2c", 2)
    for i, length in enumerate(lengths):
        send(fleet, f"{i}-{length}")
    one, other = (each.in_flight for each in fleet.instances.values())
    assert abs(one - other) <= 1


def test_predicted_prefers_many_short_ones_to_one_long() -> None:
    fleet = fleet_of("predicted", 2, seats=1)
    busy = send(fleet, "a-1000")
    others = {send(fleet, f"{i}-10") for i in range(5)}
    assert others == {0, 1} - {busy}


def test_predicted_sees_memory_where_seats_are_free() -> None:
    fleet = fleet_of("predicted", 2, seats=8, memory=1000.0)
    fleet.submit("a-10", 900)
    busy = fleet.route(0.0)[0].key
    fleet.submit("b-10", 100)
    fleet.submit("c-10", 600)
    assert {each.key for each in fleet.route(0.0)} == {0, 1} - {busy}


def test_predicted_keeps_long_prompts_away_from_those_that_decode() -> None:
    fleet = fleet_of("predicted", 2, seats=64, prefill_s=0.01)
    crowded = send(fleet, "a-500")
    for i in range(6):
        fleet.instances[crowded].dispatch(
            Flight(f"b{i}-500", 10, point(500.0, "prompt"), 500.0, 0.0)
        )
        fleet.instances[crowded].streams(f"b{i}-500", 1, 0.0)
    fleet.submit("c-5", 4000)
    assert fleet.route(0.0)[0].key != crowded


def test_predicted_sends_long_answers_where_tokens_come_faster() -> None:
    fleet = fleet_of("predicted", 2, seats=64, decode_s=0.01)
    fleet.instances[1].pace = 0.5
    send(fleet, "a-100")
    assert [send(fleet, f"{i}-100") for i in range(4)] == [1] * 4


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 2000)), min_size=1, max_size=30),
    st.integers(1, 500),
)
def test_predicted_takes_the_least_of_what_it_adds_up(
    loads: list[tuple[int, int]], size: int
) -> None:
    fleet = fleet_of("predicted", 4, memory=5000.0, prefill_s=0.01, decode_s=0.1, context_s=1e-4)
    for i, (length, prompt) in enumerate(loads):
        fleet.submit(f"{i}-{length}", prompt)
        fleet.route(0.0)
    flight = Flight("new", 100, point(size, "prompt"), float(size))
    costs = {key: added(flight, each, 0.0) for key, each in fleet.instances.items()}
    chosen = fleet.router.choose(flight, list(fleet.instances.values()), 0.0)
    assert costs[chosen.key] == min(costs.values())


def test_predicted_compares_a_part_of_very_many_instances() -> None:
    fleet = fleet_of("predicted", 100)
    looked = set()

    class Watched(type(next(iter(fleet.instances.values())))):  # type: ignore[misc]
        def wait(self, now: float, flight: Flight) -> float:
            looked.add(self.key)
            return super().wait(now, flight)

    for each in fleet.instances.values():
        each.__class__ = Watched
    send(fleet, "a-10")
    assert 0 < len(looked) < 50


def test_where_short_ones_go_first_the_short_count_heads_and_the_long_count_work() -> None:
    fleet = fleet_of("predicted", 2, seats=1, ranked=True)
    long = send(fleet, "a-1000")
    assert send(fleet, "b-50") != long
    for i in range(4):
        send(fleet, f"d{i}-60")
    held = [each.in_flight for each in fleet.instances.values()]
    assert min(held) >= 2
    assert send(fleet, "e-900") != long


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=30))
def test_max_min_is_within_the_bound_of_longest_first(lengths: list[int]) -> None:
    """LPT: at most 4/3 of the best possible, so at most 4/3 of mean + longest."""
    fleet = fleet_of("max-min", 3, seats=1)
    for i, length in enumerate(lengths):
        fleet.submit(f"{i}-{length}", 0)
    fleet.route(0.0)
    scale = math.exp(0.5 * fleet.hindsight.spread**2)
    loads = [each.work(0.0) for each in fleet.instances.values()]
    assert sum(loads) == pytest.approx(scale * sum(lengths))
    assert max(loads) <= 4 / 3 * scale * (sum(lengths) / 3 + max(lengths)) + 1e-6


def test_max_min_sends_the_longest_first() -> None:
    fleet = fleet_of("max-min", 2, seats=1)
    for i, length in enumerate([10, 500, 200, 290]):
        fleet.submit(f"{i}-{length}", 0)
    assert [(each.id, each.key) for each in fleet.route(0.0)] == [
        ("1-500", 0),
        ("3-290", 1),
        ("2-200", 1),
        ("0-10", 1),
    ]


def test_no_request_is_expected_to_take_more_than_its_max_tokens() -> None:
    fleet = fleet_of("predicted", 1)
    fleet.submit("a-500", 10, 60)
    fleet.submit("b-500", 10)
    fleet.route(0.0)
    flights = fleet.instances[0].flights
    assert flights["a-500"].expected == 60
    assert flights["b-500"].expected > 500


def test_an_unknown_router_is_one_line() -> None:
    with pytest.raises(UserError, match="unknown router 'best': choose from"):
        make_router("best")
