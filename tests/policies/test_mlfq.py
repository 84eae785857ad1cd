import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload

TOKEN = Linear("token", "test", base=1.0, prefill=0.0, decode=0.0, context=0.0)


@pytest.mark.parametrize(
    ("prompt", "generated", "level"),
    [(1, 0, 0), (10, 10, 0), (10, 11, 1), (11, 0, 1), (40, 0, 2), (41, 0, 3), (5, 81, 4)],
)
def test_the_level_covers_the_prompt_and_what_was_served(prompt, generated, level):
    it = Request("r", 0.0, 0, prompt, generated)
    assert make_policy("mlfq:10:2").rank(it) == level


@given(st.integers(1, 300), st.integers(0, 300), st.integers(1, 50), st.floats(1.1, 4))
def test_a_level_holds_for_as_long_as_is_said(prompt, generated, base, growth):
    policy = make_policy(f"mlfq:{base}:{growth}")
    now = Request("r", 0.0, 0, prompt, generated)
    holds = policy.holds(now)
    assert holds >= 1
    for tokens, same in ((int(holds) - 1, True), (int(holds), False)):
        then = Request("r", 0.0, 0, prompt, generated + tokens)
        assert (policy.rank(then) == policy.rank(now)) == same


def test_a_newcomer_takes_the_seat_of_the_demoted_who_returns_after_it():
    """One seat, a token a second: 4 tokens at level 0, then whoever is still there."""
    workload = Workload(np.array([0.0, 2.5]), np.array([1, 1]), np.array([9, 3]))
    outcome = Simulator(
        workload, make_policy("mlfq:4:2"), make_predictor("none"), TOKEN, Setup(seats=1)
    ).run()
    assert outcome.pauses == 1
    # Demoted after its fifth token, the first waits for the three of the second.
    assert outcome.finish.tolist() == [12.0, 8.0]


@pytest.mark.parametrize("arguments", ["0", "4:1", "4:nan", "1.5", "4:2:9"])
def test_bad_arguments_are_one_line(arguments):
    with pytest.raises(UserError, match="mlfq"):
        make_policy(f"mlfq:{arguments}")
