import numpy as np
import pytest

from lengthwise.predictors.points import points


def test_every_readout_is_the_point():
    sure = points(np.array([1, 40, 300]), np.full(3, 512))
    for readout in (sure.mean(), sure.median()):
        np.testing.assert_allclose(readout, [1, 40, 300])


def test_quantiles_stay_within_half_a_token():
    sure = points(np.array([40]), np.array([512]))
    assert sure.quantile(0.01)[0] >= 39.5
    assert sure.quantile(0.99)[0] <= 40.5


def test_the_limit_holds():
    sure = points(np.array([40]), np.array([16]))
    assert sure.mean()[0] == 16
    assert sure.quantile(0.9)[0] == 16


@pytest.mark.parametrize(("age", "left"), [(0, 40), (1, 39), (39, 1), (40, 1), (90, 1)])
def test_what_was_generated_is_taken_off_until_the_end_is_due(age, left):
    sure = points(np.array([40]), np.array([512])).after(np.array([age]))
    assert sure.mean()[0] == pytest.approx(left)
    np.testing.assert_allclose(sure.probabilities.sum(axis=1), 1.0)
