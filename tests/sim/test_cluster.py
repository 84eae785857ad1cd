"""Several simulated engines on one clock."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.routing import ROUTERS, make_router
from lengthwise.sim.cluster import Cluster, ClusterOutcome, Death, Layout
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import load_profile
from lengthwise.studies.fleets import capacity
from lengthwise.workload import Workload, synthetic, with_arrivals

POLICIES = ["fcfs", "sjf", "trail", "trail-early", "oracle", "trail+bound:50:5"]
MOVING = ["hrrn", "boost", "gittins", "ltr+fair", "scls:64", "sprpt+slice:64"]
"""Policies whose order moves with time or with what tenants got, or that cut requests."""


def traffic(n: int, rate: float, seed: int = 0) -> Workload:
    return with_arrivals(synthetic(n, "exp:40", "exp:60", seed), "poisson", rate, 1.0, seed)


def serve(
    workload: Workload,
    layout: Layout,
    router: str = "least-in-flight",
    policy: str = "fcfs",
    predictor: str = "lognormal:0.6+refined",
    setup: Setup | None = None,
) -> ClusterOutcome:
    return Cluster(
        workload,
        lambda: make_policy(policy),
        make_router(router),
        make_predictor(predictor),
        load_profile("cpu-smollm2"),
        setup or Setup(seats=4, blocks=200),
        layout,
    ).run()


@pytest.mark.parametrize("policy", [*POLICIES, *MOVING])
@settings(max_examples=8)
@given(
    seed=st.integers(0, 1000),
    rate=st.floats(0.5, 8.0),
    seats=st.integers(1, 6),
    blocks=st.integers(30, 200),
    interval=st.sampled_from([1, 8]),
    router=st.sampled_from([name for name in ROUTERS if not make_router(name).collect]),
)
def test_one_instance_is_the_plain_simulator_to_the_bit(
    policy: str, seed: int, rate: float, seats: int, blocks: int, interval: int, router: str
) -> None:
    workload = traffic(60, rate, seed)
    setup = Setup(seats=seats, blocks=blocks, budget=64, interval=interval)
    predictor = "lognormal:0.6+refined"
    alone = Simulator(
        workload,
        make_policy(policy),
        make_predictor(predictor),
        load_profile("cpu-smollm2"),
        setup,
    ).run()
    total = serve(workload, Layout(1), router, policy, predictor, setup).total
    for field in fields(alone):
        one, other = getattr(alone, field.name), getattr(total, field.name)
        if field.name != "backlog":
            assert np.array_equal(one, other, equal_nan=True), field.name


@pytest.mark.parametrize("router", sorted(ROUTERS))
@pytest.mark.parametrize("stale", [0.0, 3.0])
def test_all_requests_finish_after_their_first_token(router: str, stale: float) -> None:
    workload = traffic(200, 12.0)
    outcome = serve(workload, Layout(5, stale_s=stale), router, "trail")
    total = outcome.total
    assert total.rejected == outcome.failed == outcome.resubmitted == 0
    assert (total.first > workload.arrival).all()
    assert (total.finish >= total.first).all()
    assert (total.finish[workload.output > 1] > total.first[workload.output > 1]).all()


@pytest.mark.parametrize("router", sorted(ROUTERS))
def test_the_router_predicts_each_request_once(router: str) -> None:
    outcome = serve(traffic(100, 10.0), Layout(3, deaths=(Death(0, 3.0, 9.0),)), router)
    assert outcome.predictions == (100 if ROUTERS[router].predicts else 0)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 100),
    router=st.sampled_from(sorted(ROUTERS)),
    stale=st.sampled_from([0.0, 2.0]),
    deaths=st.lists(
        st.tuples(st.integers(0, 1), st.floats(0.0, 20.0), st.floats(0.1, 10.0)), max_size=1
    ),
)
def test_a_death_loses_only_what_had_begun_to_stream(
    seed: int, router: str, stale: float, deaths: list[tuple[int, float, float]]
) -> None:
    workload = traffic(80, 8.0, seed)
    layout = Layout(
        3, 0.5, stale, (Death(2, 4.0), *(Death(k, at, at + for_) for k, at, for_ in deaths))
    )
    outcome = serve(workload, layout, router)
    unfinished = np.isnan(outcome.total.finish)
    assert unfinished.sum() == outcome.failed
    assert np.isfinite(outcome.total.first[unfinished]).all()


@pytest.mark.parametrize("policy", MOVING)
@settings(max_examples=10)
@given(
    seed=st.integers(0, 100),
    router=st.sampled_from(sorted(ROUTERS)),
    stale=st.sampled_from([0.0, 2.0]),
    death=st.tuples(st.floats(0.0, 15.0), st.floats(0.1, 10.0)),
)
def test_moving_policies_finish_what_no_death_took(
    policy: str, seed: int, router: str, stale: float, death: tuple[float, float]
) -> None:
    workload = replace(traffic(80, 8.0, seed), tenant=("a", "b", "b", None) * 20)
    at, back = death[0], sum(death)
    layout = Layout(3, 0.5, stale, (Death(0, at, back), Death(1, 6.0)))
    outcome = serve(workload, layout, router, policy)
    finished = np.isfinite(outcome.total.finish)
    assert finished.sum() + outcome.failed == len(workload)
    assert np.isfinite(outcome.total.first).all()
    assert (outcome.total.finish[finished] >= outcome.total.first[finished]).all()
    assert outcome.predictions == (len(workload) if ROUTERS[router].predicts else 0)


@pytest.mark.parametrize("policy", MOVING)
def test_moving_policies_finish_everything(policy: str) -> None:
    workload = replace(traffic(200, 12.0), tenant=("a", "b", "b", None) * 50)
    total = serve(workload, Layout(4), "predicted", policy).total
    assert (total.finish >= total.first).all()
    assert (total.first > workload.arrival).all()


def test_while_nobody_lives_requests_wait() -> None:
    workload = traffic(20, 5.0)
    outcome = serve(workload, Layout(1, deaths=(Death(0, 0.0, 100.0),)))
    assert (outcome.total.first > 100.0).all()
    assert outcome.failed == 0
    first = workload.arrival == 0.0
    assert outcome.resubmitted == first.sum()


def test_if_nobody_comes_back_the_run_ends() -> None:
    outcome = serve(traffic(20, 5.0), Layout(1, deaths=(Death(0, 2.0),)))
    assert np.isnan(outcome.total.finish).any()


def test_a_returning_instance_is_used_again() -> None:
    workload = traffic(300, 10.0)
    gone = serve(workload, Layout(2, deaths=(Death(1, 5.0),)))
    back = serve(workload, Layout(2, deaths=(Death(1, 5.0, 8.0),)))
    assert np.nanmean(back.total.finish) < np.nanmean(gone.total.finish)


def test_fewer_in_flight_balance_better_than_turns() -> None:
    workload = traffic(600, 16.0)
    turns = serve(workload, Layout(6), "round-robin").balance
    fewest = serve(workload, Layout(6), "least-in-flight").balance
    assert fewest.seats < turns.seats
    assert 0.0 < fewest.busy <= 4.0


def test_stale_knowledge_costs_time() -> None:
    workload = traffic(600, 14.0)
    fresh, stale = (
        serve(workload, Layout(6, stale_s=age), "least-in-flight").total for age in (0.0, 10.0)
    )
    assert (stale.finish - workload.arrival).mean() > (fresh.finish - workload.arrival).mean()


def test_exact_predictions_shorten_the_tail_where_seats_are_few() -> None:
    lengths = synthetic(1500, "constant:40", "lognormal:80:1.2", 0)
    workload = with_arrivals(lengths, "poisson", 1.6, 1.0, 0)
    setup = Setup(seats=1)
    tails = {
        router: np.quantile(
            serve(workload, Layout(6), router, predictor="oracle", setup=setup).total.first
            - workload.arrival,
            0.99,
        )
        for router in ("least-in-flight", "predicted")
    }
    assert tails["predicted"] < 0.9 * tails["least-in-flight"]


def test_wrong_predictions_shorten_the_tail_where_prompts_delay_long_answers() -> None:
    lengths = synthetic(2500, "lognormal:2000:0.8", "lognormal:30:1.3", 0)
    profile, setup = load_profile("a100-llama3-8b"), Setup(blocks=9500)
    rate = 0.9 * 8 * capacity(lengths, setup, profile)
    workload = with_arrivals(lengths, "poisson", rate, 1.0, 0)

    def tail(router: str, predictor: str) -> float:
        made = make_router(router), make_predictor(predictor), profile, setup, Layout(8)
        total = Cluster(workload, lambda: make_policy("fcfs"), *made).run().total
        return float(np.quantile(total.finish - workload.arrival, 0.99))

    fewest = tail("least-in-flight", "none")
    found = {name: tail("predicted", name) for name in ("constant", "lognormal:0.8", "oracle")}
    assert found["oracle"] < found["lognormal:0.8"] < 0.85 * fewest
    assert found["lognormal:0.8"] < found["constant"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Layout(0), "--instances must be at least 1"),
        (lambda: Layout(2, report_s=0.0), "above 0"),
        (lambda: Layout(2, stale_s=-1.0), "--stale must be 0 or more"),
        (lambda: Layout(2, deaths=(Death(2, 1.0),)), "instance from 0"),
        (lambda: Layout(2, deaths=(Death(0, 5.0, 4.0),)), "later return"),
        (lambda: Layout(2, deaths=(Death(0, math.nan),)), "later return"),
    ],
)
def test_impossible_layouts_are_refused(make: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()  # type: ignore[operator]
