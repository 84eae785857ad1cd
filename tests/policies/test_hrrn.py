import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.lanes import waiting_queue
from lengthwise.core.policy import COMMITTED, UNPREDICTED
from lengthwise.core.request import Request
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload

TOKEN = Linear("token", "test", base=1.0, prefill=0.0, decode=0.0, context=0.0)


def request(seq, arrival, predicted):
    it = Request(str(seq), arrival, seq, 10)
    it.predict(predicted)
    return it


@given(
    st.lists(st.tuples(st.floats(0, 50), st.integers(0, 60)), min_size=1, max_size=40),
    st.lists(st.floats(50, 5000), min_size=1, max_size=5),
)
def test_the_highest_ratio_is_next_whenever_it_is_asked(rows, moments):
    """Against the definition, with a token taking 0.03 s: the unit of service cancels out."""
    policy = make_policy("hrrn")
    requests = [request(i, at, 1.1**power) for i, (at, power) in enumerate(rows)]
    queue = waiting_queue(policy, lambda it: it)
    for it in requests:
        queue.push(it)
    for now in sorted(moments):
        policy.observe(now, [])
        ratios = [1 + it.waiting(now) / (0.03 * it.initial) for it in requests]
        best = queue.peek()
        assert ratios[best.seq] >= max(ratios) * (1 - 1e-6)


def test_who_just_came_goes_shortest_first():
    policy = make_policy("hrrn")
    policy.observe(7.0, [])
    assert policy.rank(request(0, 7.0, 40.0)) > policy.rank(request(1, 7.0, 20.0))


def test_the_unknown_go_first_and_who_started_before_them():
    policy = make_policy("hrrn")
    policy.observe(1e9, [])
    started = request(0, 0.0, 5.0)
    started.started = True
    assert policy.rank(started) == COMMITTED
    assert policy.rank(request(1, 0.0, None)) == UNPREDICTED < policy.rank(request(2, 0.0, 1.0))


def test_a_long_wait_overtakes_a_short_answer():
    """One seat: 10 s of somebody, then 40 tokens that waited 9 s against 5 that waited 1 s
    (ratios by tokens 0.225 and 0.2), then against 5 that waited 4 s."""
    for late, order in ((9.0, [0, 1, 2]), (6.0, [0, 2, 1])):
        workload = Workload(np.array([0.0, 1.0, late]), np.array([1, 1, 1]), np.array([10, 40, 5]))
        outcome = Simulator(
            workload, make_policy("hrrn"), make_predictor("oracle"), TOKEN, Setup(seats=1)
        ).run()
        assert np.argsort(outcome.first).tolist() == order
