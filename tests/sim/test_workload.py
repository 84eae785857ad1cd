import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.errors import UserError
from lengthwise.workload import Workload, synthetic, with_arrivals


def workload(arrival, prompt=None, output=None, **rest):
    n = len(arrival)
    return Workload(
        np.array(arrival, dtype=float),
        np.array(prompt or [10] * n),
        np.array(output or [20] * n),
        **rest,
    )


def requests(n):
    return workload([0.0] * n, list(range(1, n + 1)))


gaps = st.lists(st.floats(0.001, 100.0), min_size=1, max_size=20)
timed = gaps.map(lambda each: workload([0.0, *np.cumsum(each)]))


def test_without_a_prefix_nothing_is_cached():
    assert workload([0, 1]).prefix.tolist() == [0, 0]


def test_the_arrays_are_read_only_copies():
    prompt = np.array([3, 4])
    found = Workload(np.zeros(2), prompt, np.array([1, 1]))
    prompt[0] = 99
    assert found.prompt.tolist() == [3, 4]
    with pytest.raises(ValueError, match="read-only"):
        found.output[0] = 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"arrival": [0, 2, 1]}, r"toy, record 3: arrives before"),
        ({"arrival": [0, math.nan, 1]}, r"record 2: arrival is not a finite"),
        ({"arrival": [0, 1, math.inf]}, r"record 3: arrival is not a finite"),
        ({"arrival": [-1, 0, 1]}, r"record 1: arrival is negative"),
        ({"arrival": [1, 2, 3]}, r"record 1: the first arrival must be at 0"),
        ({"prompt": [1, 0, 0]}, r"record 2: a prompt has at least 1"),
        ({"output": [1, 1, -5]}, r"record 3: an output has at least 1"),
        ({"prompt": [1, 1, 0], "output": [1, 0, 1]}, r"record 2: an output"),
        ({"prefix": [10, 11, 0]}, r"record 2: cached prefix"),
        ({"prefix": [-1, 0, 0]}, r"record 1: cached prefix"),
        ({"output": [1.5, 2.0, 3.0]}, r"toy: output must be whole numbers"),
        ({"output": [1, 2]}, r"toy: arrays of one length"),
        ({"prompt": [[1, 2, 3]]}, r"toy: arrays of one length"),
    ],
)
def test_the_first_bad_record_is_named(fields, message):
    arrays = {"arrival": [0, 1, 1], "prompt": [10] * 3, "output": [20] * 3, **fields}
    with pytest.raises(UserError, match=message) as error:
        Workload(**{name: np.array(values) for name, values in arrays.items()}, name="toy")
    assert "\n" not in str(error.value)


def test_nothing_is_no_workload():
    with pytest.raises(UserError, match="at least 1"):
        workload([])


def test_rate_and_cv_are_those_of_the_gaps():
    found = workload([0, 1, 2, 6])
    assert found.rate == pytest.approx(0.5)
    assert found.cv == pytest.approx(np.sqrt(2) / 2)


def test_a_burst_has_no_rate():
    found = workload([0, 0])
    assert found.rate == math.inf
    assert math.isnan(found.cv)


@given(timed, st.floats(0.01, 100.0))
def test_scaling_sets_the_rate_and_keeps_the_pattern(found, rate):
    scaled = found.scaled_to(rate)
    assert scaled.rate == pytest.approx(rate)
    assert scaled.cv == pytest.approx(found.cv, abs=1e-6)
    assert scaled.prompt.tolist() == found.prompt.tolist()


def test_a_burst_stays_one():
    assert workload([0, 0]).scaled_to(3.0).arrival.tolist() == [0, 0]


@pytest.mark.parametrize("rate", [0.0, -1.0, math.nan, math.inf])
def test_a_rate_must_be_positive(rate):
    with pytest.raises(UserError, match="positive"):
        workload([0, 1]).scaled_to(rate)


@given(timed, st.data())
def test_the_head_is_the_first_requests(found, data):
    n = data.draw(st.integers(1, len(found)))
    head = found.head(n)
    assert len(head) == n
    assert head.arrival.tolist() == found.arrival[:n].tolist()


@pytest.mark.parametrize("n", [0, -1, 3])
def test_a_head_needs_as_many_requests(n):
    with pytest.raises(UserError, match="has 2 requests"):
        workload([0, 1]).head(n)


@pytest.mark.parametrize(("process", "cv"), [("poisson", 1.0), ("gamma", 0.5), ("gamma", 3.0)])
def test_arrivals_have_the_rate_and_cv_asked_for(process, cv):
    found = with_arrivals(requests(20_000), process, rate=4.0, cv=cv, seed=1)
    assert found.rate == pytest.approx(4.0, rel=0.1)
    assert found.cv == pytest.approx(cv, rel=0.1)
    assert found.prompt.tolist() == requests(20_000).prompt.tolist()


@given(st.sampled_from(["poisson", "gamma"]), st.integers(0, 2**32), st.integers(1, 9))
def test_the_seed_decides_the_arrivals(process, seed, n):
    once, again, other = (
        with_arrivals(requests(n), process, 2.0, seed=each).arrival.tolist()
        for each in (seed, seed, seed + 1)
    )
    assert once == again
    assert once[0] == 0.0
    assert n == 1 or once != other


def test_poisson_is_gamma_with_cv_1():
    poisson, gamma = (
        with_arrivals(requests(9), each, 2.0, seed=5) for each in ("poisson", "gamma")
    )
    assert poisson.arrival.tolist() == gamma.arrival.tolist()


def test_a_burst_is_all_at_once():
    assert with_arrivals(workload([0, 1, 2]), "burst").arrival.tolist() == [0, 0, 0]


def test_own_times_stay_or_are_stretched():
    found = workload([0, 1, 4])
    assert with_arrivals(found, "trace").arrival.tolist() == [0, 1, 4]
    assert with_arrivals(found, "trace", rate=1.0).arrival.tolist() == [0, 0.5, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("often", 1.0), "no arrivals 'often'.*poisson, gamma, burst, trace"),
        (("poisson",), "need a rate"),
        (("gamma", None, 2.0), "need a rate"),
        (("gamma", 1.0, 0.0), "positive"),
        (("poisson", -1.0), "positive"),
        (("poisson", 1.0, 2.0), "take no cv"),
        (("burst", 1.0), "take no rate"),
        (("trace",), "has no arrival times"),
        (("trace", 2.0), "has no arrival times"),
    ],
)
def test_arrivals_that_cannot_be(arguments, message):
    with pytest.raises(UserError, match=message):
        with_arrivals(requests(3), *arguments)


def test_one_seed_does_not_tie_arrivals_to_lengths():
    made = with_arrivals(synthetic(5000, "exp:300", "exp:300", 4), "poisson", 1.0, seed=4)
    gaps = np.diff(made.arrival)
    for lengths in (made.prompt, made.output):
        assert abs(np.corrcoef(gaps, lengths[1:])[0, 1]) < 0.05
        assert abs(np.corrcoef(gaps, lengths[:-1])[0, 1]) < 0.05
