import numpy as np
import pytest

from lengthwise.results.until import reached, shown


@pytest.mark.parametrize(("until", "seconds"), [(1, 2.0), (3, 9.0), (4, None), (0, None)])
def test_the_nth_to_finish_sets_the_time(until, seconds):
    assert reached(np.array([5.0, 2.0, 9.0]), until) == {"until": until, "until_s": seconds}


def test_who_does_not_ask_is_told_nothing():
    assert reached(np.array([5.0]), None) == {}


def test_runs_are_shown_by_their_mean_unless_one_never_got_there():
    assert shown([{"until_s": 2.0}, {"until_s": 4.0}]) == "3s"
    assert shown([{"until_s": 2.0}, {"until_s": None}]) == "never"
    assert shown([{"until_s": 2.0}, {"finished": 0}]) == "never"
