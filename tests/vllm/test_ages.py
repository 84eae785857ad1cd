import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.vllm.ages import GROWTH, next_age, offset_of

offsets = st.floats(0, 1, exclude_max=True)


def kept(offset, most):
    ages = [0]
    while ages[-1] <= most:
        ages.append(next_age(ages[-1], offset))
    return ages[:-1]


@given(offsets, st.integers(0, 10**6))
def test_ages_rise_by_no_more_than_the_growth_rounded_up(offset, age):
    assert age < next_age(age, offset) <= max(math.ceil(GROWTH * age) + 1, age + 1)


@given(offsets)
def test_the_first_are_all_kept_and_the_rest_are_as_many_as_a_log_scale_has(offset):
    ages = kept(offset, 4096)
    assert ages[:4] == [0, 1, 2, 3]
    later = [age for age in ages if age > 8]
    assert len(later) == pytest.approx(math.log(4096 / 8, GROWTH), abs=2)


def test_over_many_requests_each_age_is_kept_of_some():
    found = {age for i in range(2000) for age in kept(offset_of(f"request-{i}"), 200)}
    assert found >= set(range(201))


def test_a_request_has_the_same_offset_wherever_it_is_asked():
    assert offset_of("a") == offset_of("a") != offset_of("b")
    assert 0 <= offset_of("a") < 1
