"""What finished requests teach a router."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lengthwise.routing.hindsight import Hindsight


@pytest.mark.parametrize("age", [0.0, 50.0, 200.0, 600.0])
def test_what_is_left_is_the_mean_excess_of_a_lognormal(age: float) -> None:
    totals = 100.0 * np.random.default_rng(0).lognormal(0.0, 0.8, 2_000_000)
    alive = totals[totals > age]
    assert Hindsight(spread=0.8).left(100.0, age) == pytest.approx((alive - age).mean(), rel=0.03)


def test_an_overdue_answer_is_thought_longer_the_longer_it_lasts() -> None:
    lefts = [Hindsight().left(100.0, age) for age in (200.0, 400.0, 1e4, 1e6, 1e12)]
    assert lefts == sorted(lefts)
    assert all(map(math.isfinite, lefts))


def test_it_learns_bias_and_spread() -> None:
    rng, hindsight = np.random.default_rng(0), Hindsight()
    for error in rng.lognormal(math.log(2.0), 0.3, 5000):
        hindsight.learn(100.0, 100.0 * error)
    assert hindsight.spread == pytest.approx(0.3, rel=0.1)
    assert hindsight.left(100.0, 0.0) == pytest.approx(200.0 * math.exp(0.045), rel=0.05)


def test_exact_predictions_come_to_be_trusted() -> None:
    hindsight = Hindsight()
    for _ in range(20_000):
        hindsight.learn(80.0, 80.0)
    assert hindsight.left(100.0, 40.0) == pytest.approx(60.0, abs=1.0)
    assert hindsight.left(100.0, 100.0) >= 1.0


def test_without_a_prediction_an_answer_is_as_long_as_others_were() -> None:
    hindsight = Hindsight()
    for _ in range(5000):
        hindsight.learn(math.nan, 30.0)
    assert hindsight.left(math.nan, 0.0) == pytest.approx(30.0 * math.exp(0.18), rel=0.05)


def test_noisy_predictions_are_taken_back_towards_the_mean() -> None:
    """Closed form: of a log-normal length seen through log-normal noise, var / (var + noise)."""
    rng, hindsight = np.random.default_rng(0), Hindsight()
    tokens = 100.0 * rng.lognormal(0.0, 1.0, 20_000)
    predicted = tokens * rng.lognormal(0.0, 1.0, 20_000)
    for each in zip(predicted, tokens, strict=True):
        hindsight.learn(*each)
    few, many = hindsight.left(100.0, 0.0), hindsight.left(100.0 * math.e**2, 0.0)
    assert hindsight.spread == pytest.approx(math.sqrt(0.5), rel=0.05)
    assert math.log(many / few) == pytest.approx(1.0, abs=0.1)
    assert few == pytest.approx(100.0 * math.exp(0.25), rel=0.1)


def test_what_is_expected_is_right_on_average_for_each_prediction() -> None:
    rng, hindsight = np.random.default_rng(1), Hindsight()
    tokens = 200.0 * rng.lognormal(0.0, 0.9, 40_000)
    predicted = tokens * rng.lognormal(0.3, 0.8, 40_000)
    for each in zip(predicted[:20_000], tokens[:20_000], strict=True):
        hindsight.learn(*each)
    expected = np.array([hindsight.left(each, 0.0) for each in predicted[20_000:]])
    for part in np.array_split(np.argsort(expected), 4):
        assert expected[part].mean() == pytest.approx(tokens[20_000:][part].mean(), rel=0.15)
