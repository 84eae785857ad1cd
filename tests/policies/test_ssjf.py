from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.policy import COMMITTED, UNPREDICTED
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.policies import make_policy


def request(seq, arrival, predicted):
    it = Request(str(seq), arrival, seq, 10)
    it.predict(predicted)
    return it


@given(st.lists(st.tuples(st.floats(0, 90), st.floats(1, 500)), min_size=2), st.floats(90, 1e4))
def test_at_any_time_the_order_is_by_prediction_less_what_it_has_aged(rows, now):
    policy = make_policy("ssjf:3")
    requests = [request(i, *row) for i, row in enumerate(rows)]
    by_rank = sorted(requests, key=policy.rank)
    aged = [it.initial - 3.0 * it.waiting(now) for it in by_rank]
    assert all(a <= b + 1e-6 for a, b in pairwise(aged))


def test_without_ageing_it_is_sjf():
    ssjf, sjf = make_policy("ssjf:0"), make_policy("sjf")
    for it in (request(0, 70.0, 40.0), request(1, 5.0, None)):
        assert ssjf.rank(it) == sjf.rank(it)


def test_who_started_and_who_is_unknown_do_not_age():
    policy = make_policy("ssjf:5")
    started, unknown = request(0, 9.0, 40.0), request(1, 9.0, None)
    started.started = True
    assert (policy.rank(started), policy.rank(unknown)) == (COMMITTED, UNPREDICTED)


@pytest.mark.parametrize("rate", ["-1", "inf", "nan", "x"])
def test_a_bad_rate_is_one_line(rate):
    with pytest.raises(UserError, match=f"ssjf:{rate}"):
        make_policy(f"ssjf:{rate}")
