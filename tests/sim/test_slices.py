"""Slices in the simulated engine: what they cost, and what they change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload, synthetic, with_arrivals

TOKEN = Linear("token", "test", base=1.0, prefill=0.0, decode=0.0, context=0.0)
COSTLY = Linear("costly", "test", base=1.0, prefill=0.1, decode=0.01, context=0.0)


def serve(workload: Workload, policy: str, time: Any = TOKEN, **setup: Any) -> Outcome:
    given_setup = {"seats": 1, "budget": 10**4, "blocks": 10**6, "block_size": 32} | setup
    return Simulator(
        workload, make_policy(policy), make_predictor("oracle"), time, Setup(**given_setup)
    ).run()


def burst(prompts: list[int], outputs: list[int]) -> Workload:
    n = len(outputs)
    return Workload(np.zeros(n), np.array(prompts), np.array(outputs))


def test_with_one_seat_scls_is_round_robin() -> None:
    """Three answers of 40, 80 and 20 tokens in slices of 32; a token a second."""
    outcome = serve(burst([1, 1, 1], [40, 80, 20]), "scls:32", cached=1.0)
    # Rounds: 32 + 32 + 20, then 8 of the first and 32 of the second, then its last 16.
    assert outcome.finish.tolist() == [92.0, 140.0, 84.0]
    assert outcome.gap.tolist() == [53.0, 29.0, 0.0]


def test_a_round_is_in_order_of_context_length() -> None:
    outcome = serve(burst([65, 1, 33], [64, 64, 64]), "scls:32", cached=1.0)
    assert np.argsort(outcome.first).tolist() == [1, 2, 0]


@pytest.mark.parametrize("policy", ["fcfs", "sjf"])
def test_slices_longer_than_every_answer_change_nothing(policy: str) -> None:
    workload = with_arrivals(synthetic(300, "constant:20", "exp:60", 1), "poisson", 0.1, seed=1)
    whole = serve(workload, policy, COSTLY, seats=4)
    sliced = serve(workload, f"{policy}+slice:5000", COSTLY, seats=4)
    assert np.array_equal(whole.finish, sliced.finish)


def test_with_full_caching_and_whole_blocks_nothing_is_computed_again() -> None:
    workload = with_arrivals(synthetic(200, "constant:20", "exp:90", 2), "poisson", 0.1, seed=2)
    assert serve(workload, "scls:64", COSTLY, seats=4, cached=1.0).recomputed == 0
    assert serve(workload, "scls:64", COSTLY, seats=4, cached=0.0).recomputed > 0


def test_without_caching_a_slice_costs_its_context_again() -> None:
    """100 tokens after a prompt of 28: slices of 37, 32 and 31."""
    outcome = serve(burst([28], [100]), "fcfs+slice:37", COSTLY)
    assert outcome.recomputed == 64 + 96
    # Each slice's first step prefills all its context; all other steps decode one token.
    prefills = 0.1 * (28 + 65 + 97)
    assert outcome.finish[0] == pytest.approx(100 + prefills + 0.01 * 97)


@settings(max_examples=30)
@given(
    st.integers(0, 10**6),
    st.integers(1, 200),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from(["scls:{}", "fcfs+slice:{}", "sprpt+slice:{}", "scls:{}+bound:40:8"]),
)
def test_everybody_is_served_to_the_end_and_memory_comes_back(
    seed: int, most: int, cached: float, policy: str
) -> None:
    workload = with_arrivals(
        synthetic(60, "uniform:1:80", "exp:70", seed), "poisson", 0.2, seed=seed
    )
    setup = Setup(seats=5, budget=200, blocks=60, block_size=16, cached=cached)
    spec = policy.format(most)
    simulator = Simulator(
        workload, make_policy(spec), make_predictor("oracle"), COSTLY, setup, seed
    )
    outcome = simulator.run()
    fits = ~np.isnan(outcome.finish)
    assert (~fits).sum() == outcome.rejected
    assert (outcome.finish[fits] >= outcome.first[fits]).all()
    assert (outcome.finish - workload.arrival)[fits].min() >= workload.output[fits].min() - 1
    assert simulator.engine.free_blocks() == setup.blocks
