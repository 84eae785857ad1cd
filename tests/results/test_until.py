import numpy as np
import pytest

from lengthwise.results.until import time_until


@pytest.mark.parametrize(("until", "seconds"), [(1, 2.0), (3, 9.0), (4, None), (0, None)])
def test_the_nth_to_finish_sets_the_time(until, seconds):
    assert time_until(np.array([5.0, 2.0, 9.0]), until) == {"until": until, "until_s": seconds}


def test_who_does_not_ask_is_told_nothing():
    assert time_until(np.array([5.0]), None) == {}
