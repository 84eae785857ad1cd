import numpy as np
import pytest

from lengthwise.core.policy import FIRST
from lengthwise.core.request import Request
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload

TOKEN = Linear("token", "test", base=1.0, prefill=0.0, decode=0.0, context=0.0)


def request(seq, priority, predicted=50.0, **known):
    it = Request(str(seq), 0.0, seq, 10, priority=priority, **known)
    it.predict(predicted)
    return it


def test_the_class_goes_first_and_inside_it_the_policy():
    policy = make_policy("ltr+priority")
    many = [request(0, 1, 5.0), request(1, 0, 90.0), request(2, 0, 30.0), request(3, -1, 400.0)]
    assert [it.seq for it in sorted(many, key=policy.key)] == [3, 2, 1, 0]


def test_who_must_run_to_completion_is_before_every_class():
    late = request(0, 5, 100.0, generated=90, started=True)
    assert make_policy("trail+priority").key(late) == FIRST


def test_a_bound_around_it_promotes_over_classes_and_one_inside_it_does_not():
    starved, urgent = request(0, 9), request(1, 0)
    starved.promote(3.0, 10)
    outer, inner = make_policy("ltr+priority+bound"), make_policy("ltr+bound+priority")
    assert outer.key(starved) < outer.key(urgent)
    assert inner.key(starved) > inner.key(urgent)
    assert inner.key(starved) < inner.key(request(2, 9, 1.0))


def first_tokens(policy):
    """One seat: somebody of class 1, then class 1 again, then class 0."""
    workload = Workload(
        np.array([0.0, 1.0, 2.0]),
        np.array([1, 1, 1]),
        np.array([20, 20, 20]),
        priority=np.array([1, 1, 0]),
    )
    return Simulator(
        workload, make_policy(policy), make_predictor("oracle"), TOKEN, Setup(seats=1)
    ).run()


@pytest.mark.parametrize(
    "policy", ["fcfs+priority", "hrrn+priority", "sjf+priority", "boost+priority"]
)
def test_without_preemption_the_urgent_wait_for_the_seat(policy):
    outcome = first_tokens(policy)
    assert outcome.finish.tolist() == [20.0, 60.0, 40.0]


def test_with_preemption_they_take_it():
    outcome = first_tokens("ltr+priority")
    assert outcome.finish[2] == 22.0
    assert outcome.pauses == 1
