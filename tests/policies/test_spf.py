"""``spf``: the shortest prompt that is still to compute goes first."""

from __future__ import annotations

import numpy as np

from lengthwise.core.policy import COMMITTED
from lengthwise.core.request import Request
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload

TOKEN = Linear("token", "test", base=1.0, prefill=0.0, decode=0.0, context=0.0)


def test_the_rank_is_the_prompt_less_what_is_cached() -> None:
    policy = make_policy("spf")
    assert policy.rank(Request("0", 0.0, 0, 100)) == 100
    assert policy.rank(Request("1", 0.0, 1, 100, cached_tokens=80)) == 20
    assert policy.rank(Request("2", 0.0, 2, 100, cached_tokens=100)) == 1
    assert policy.rank(Request("3", 0.0, 3, 9, started=True)) == COMMITTED
    assert (policy.source, policy.needs_predictions, policy.preemptive) == ("none", False, False)


def test_prompts_are_served_from_short_to_long() -> None:
    prompt = np.array([50, 70, 10, 30])
    workload = Workload(np.zeros(4), prompt, np.array([5, 1, 90, 5]))
    outcome = Simulator(
        workload, make_policy("spf"), make_predictor("none"), TOKEN, Setup(seats=1)
    ).run()
    assert np.argsort(outcome.first).tolist() == [2, 3, 0, 1]
