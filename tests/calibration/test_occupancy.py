import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.calibration.occupancy import Course, Levels, seated_at, total

SPANS = st.lists(
    st.tuples(st.floats(0, 50), st.floats(0, 20), st.floats(0, 100)), min_size=1, max_size=20
)


@settings(max_examples=50)
@given(SPANS, st.floats(0, 80))
def test_a_course_is_the_share_of_each_amount_that_has_passed(spans, at):
    start, length, amount = np.array(spans).T
    course = Course.of(start, start + length, amount)
    passed = np.clip((at - start) / np.maximum(length, 1e-3), 0.0, 1.0) * amount
    if (np.abs(at - start) > 1e-2).all() and ((length == 0) | (length > 1e-2)).all():
        assert course(np.array([at]))[0] == pytest.approx(passed.sum(), rel=1e-6, abs=1e-4)
    assert course(np.array([200.0]))[0] == pytest.approx(amount.sum(), rel=1e-6, abs=1e-6)


def test_courses_add_up_and_have_areas():
    up = Course.of(np.array([0.0]), np.array([2.0]), np.array([4.0]))
    down = Course.of(np.array([3.0]), np.array([3.0]), np.array([-4.0]))
    both = total([up, down])
    assert both(np.array([1.0, 2.5, 5.0])) == pytest.approx([2.0, 4.0, 0.0])
    assert both.integral().within(np.array([0.0]), np.array([9.0])) == pytest.approx([8.0], 1e-4)


def test_seats_go_to_requests_in_order_of_arrival():
    arrival, finish = np.array([0.0, 0.0, 1.0, 2.0]), np.array([5.0, 3.0, 9.0, 8.0])
    assert seated_at(arrival, finish, 2).tolist() == [0.0, 0.0, 3.0, 5.0]
    assert seated_at(arrival, finish, None).tolist() == arrival.tolist()
    gone = np.array([np.nan, 3.0, 9.0, 8.0])
    assert seated_at(arrival, gone, 1).tolist() == [0.0, 0.0, 3.0, 9.0]


def test_levels_count_who_decodes_and_who_waits():
    arrival, first, finish = np.array([0.0, 1.0]), np.array([2.0, 4.0]), np.array([6.0, 8.0])
    none = Course(np.array([0.0, 1.0]), np.zeros(2))
    levels = Levels.of(arrival, first, finish, none)
    assert levels.seconds.tolist() == [1, 1, 2, 2, 2]
    assert levels.waiting.tolist() == [1, 2, 1, 0, 0]
    assert levels.decoding.tolist() == [0, 0, 1, 2, 1]
    assert levels.share(levels.waiting > 0) == pytest.approx(0.5)
