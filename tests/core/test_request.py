import math

import pytest

from lengthwise.core import Request


def request(**known):
    return Request("a", arrival=1.0, seq=0, prompt_tokens=5, **known)


def test_a_new_request_is_unpredicted():
    it = request()
    assert not it.predicted
    assert math.isnan(it.remaining)


def test_the_prediction_counts_down_with_every_token_and_stays_at_least_one():
    it = request()
    it.predict(3.5)
    left = []
    for it.generated in range(6):
        left.append(it.remaining)
    assert left == [3.5, 2.5, 1.5, 1.0, 1.0, 1.0]
    assert it.initial == 3.5


def test_the_first_refinement_replaces_the_prompt_only_prediction():
    it = request(generated=4)
    it.predict(100.0)
    it.refine(20.0, at=4)
    assert it.probed
    assert (it.initial, it.remaining) == (24.0, 20.0)


def test_later_refinements_leave_the_first_word_of_the_probe():
    it = request()
    it.refine(20.0, at=0)
    it.generated = 8
    it.refine(50.0, at=8)
    assert (it.initial, it.remaining) == (20.0, 50.0)


def test_a_late_refinement_counts_down_from_the_age_it_was_made_at():
    it = request(generated=10)
    it.refine(20.0, at=7)
    assert it.remaining == 17.0


@pytest.mark.parametrize("nothing", [None, math.nan])
def test_no_prediction_is_unknown_and_takes_back_the_one_before(nothing):
    it = request()
    it.predict(10.0)
    it.predict(nothing)
    assert not it.predicted
    assert it.initial is None
    assert math.isnan(it.remaining)


def test_a_refinement_that_is_nan_changes_nothing():
    it = request(generated=2)
    it.predict(10.0)
    it.refine(math.nan, at=2)
    assert not it.probed
    assert (it.initial, it.remaining) == (10.0, 8.0)


def test_waiting_is_the_time_since_arrival():
    assert request().waiting(now=3.5) == 2.5


def test_requests_are_told_apart_by_identity():
    assert len({request(), request()}) == 2
