import numpy as np
import pytest

from lengthwise.errors import UserError
from lengthwise.workload.arrival_times import burst, gamma


def test_a_burst_is_all_at_once():
    assert burst(3) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_gaps_have_the_rate_and_the_variation_asked_for(cv):
    times = np.array(gamma(20_000, rate=4.0, cv=cv, seed=1))
    gaps = np.diff(times, prepend=0.0)
    assert (gaps >= 0).all()
    assert gaps.mean() == pytest.approx(0.25, rel=0.1)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.1)


def test_the_seed_decides():
    assert gamma(5, 1.0, 1.0, seed=3) == gamma(5, 1.0, 1.0, seed=3)
    assert gamma(5, 1.0, 1.0, seed=3) != gamma(5, 1.0, 1.0, seed=4)


@pytest.mark.parametrize(("rate", "cv"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (float("nan"), 1.0)])
def test_rate_and_cv_must_be_positive(rate, cv):
    with pytest.raises(UserError, match="positive"):
        gamma(3, rate, cv, seed=0)
