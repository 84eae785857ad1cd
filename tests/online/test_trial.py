import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.online.trial import Served, Trials, Verdict, repeated
from lengthwise.sim.predictors import Guess
from lengthwise.sim.predictors.base import unknown
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload.workload import Workload

SPEED = Linear("measured", "a test", base=0.02, prefill=1e-4, decode=5e-4, context=1e-7)
TRIALS = Trials("lengthwise", SPEED, Setup(seats=8, budget=512, blocks=4000))
NOTHING = Guess("none", unknown)


def requests(n=200, gap=1.0, seed=0):
    rng = np.random.default_rng(seed)
    output = np.where(rng.random(n) < 0.3, 300, 10)
    arrival = np.cumsum(rng.exponential(gap, n))
    return Workload(arrival - arrival[0], np.full(n, 20), output)


def truth(reverse=False):
    def rule(workload, rng):
        return (400.0 - workload.output) if reverse else workload.output.astype(float)

    return Guess("prompt", rule)


def test_true_lengths_are_good():
    verdict = TRIALS.verdict(requests(), truth(), NOTHING)
    assert verdict.good
    assert "in a burst" in str(verdict)


def test_what_changes_nothing_is_harmless_and_not_good():
    verdict = TRIALS.verdict(requests(), NOTHING, NOTHING)
    assert verdict.harmless
    assert not verdict.good


def test_going_back_from_true_lengths_is_not_harmless():
    assert not TRIALS.verdict(requests(), NOTHING, truth()).harmless


def test_requests_are_served_at_the_load_at_which_they_came():
    slow, fast = (TRIALS.verdict(requests(gap=gap), truth(), NOTHING) for gap in (3.0, 0.2))
    assert [each.load for each in slow.served][1:] == [1.05, float("inf")]
    assert len(fast.served) == 2
    assert fast.served[0].load > 1.05
    assert fast.served[0].load == pytest.approx(15 * slow.served[0].load, rel=0.1)


@pytest.mark.parametrize(
    ("mean", "p99", "good"), [(0.9, 1.0, True), (0.9, 1.2, False), (1.02, 1.0, False)]
)
def test_one_trial_that_does_harm_is_too_many(mean, p99, good):
    verdict = Verdict((Served(0.5, 0.95, 1.0), Served(1.05, mean, p99)))
    assert verdict.good is good


@given(st.integers(1, 30), st.integers(1, 200), st.floats(0.01, 10))
def test_repeated_requests_come_at_the_same_pace(n, least, gap):
    many = repeated(requests(n, gap), least)
    assert len(many) >= least
    assert len(many) % n == 0
    assert (np.diff(many.arrival) >= 0).all()
    rounds = many.output.reshape(-1, n)
    assert rounds[0].tolist() == requests(n, gap).output.tolist()
    assert all(sorted(each) == sorted(rounds[0]) for each in rounds.tolist())
