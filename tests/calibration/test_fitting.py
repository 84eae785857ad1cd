import numpy as np
import pytest

from lengthwise.calibration.fitting import Sums, fit, fit_most, interval
from lengthwise.errors import UserError
from lengthwise.sim.steps import Linear

TRUTH = Linear("t", "test", base=0.02, prefill=1e-4, decode=2e-3, context=3e-6)


def sums(n: int, noise: float, seats: bool = False) -> Sums:
    rng = np.random.default_rng(3)
    steps = rng.integers(10, 200, n).astype(float)
    decodes = steps * (8 if seats else rng.uniform(1, 16, n))
    made = Sums(
        np.ones(n), steps, rng.uniform(0, 5000, n), decodes, steps * rng.uniform(100, 9000, n)
    )
    seconds = made.predicted(TRUTH) * rng.lognormal(0.0, noise, n)
    return Sums(seconds, made.steps, made.prefill, made.decodes, made.context)


def test_windows_give_back_the_steps_that_made_them():
    found = fit(sums(400, 0.01), "f", "test")
    for name in ("base", "prefill", "decode", "context"):
        assert getattr(found, name) == pytest.approx(getattr(TRUTH, name), rel=0.05)
    assert found.error < 0.02


def test_what_cannot_be_told_apart_is_base():
    found = fit_most(sums(300, 0.1, seats=True), "f", "test")
    assert found.seconds(0, 8, 4000) == pytest.approx(TRUTH.seconds(0, 8, 4000), rel=0.05)
    assert found.base > 8 * found.decode


def test_windows_far_outside_do_not_count():
    good = sums(200, 0.01)
    seconds = good.seconds.copy()
    seconds[::10] *= 4.0
    bad = Sums(seconds, good.steps, good.prefill, good.decodes, good.context)
    found = fit_most(bad, "f", "test")
    assert found.seconds(0, 8, 4000) == pytest.approx(TRUTH.seconds(0, 8, 4000), rel=0.03)


def test_the_interval_widens_with_what_the_fit_leaves():
    calm, noisy = sums(200, 0.01), sums(200, 0.3)
    narrow, wide = interval(calm, TRUTH), interval(noisy, TRUTH)
    assert wide[0] < narrow[0] <= 1.0 <= narrow[1] < wide[1]


def test_what_rounding_leaves_of_nothing_is_not_fitted():
    made = sums(100, 0.02)
    rest = np.random.default_rng(0).uniform(-1e-9, 1e-9, 100)
    bare = Sums(made.seconds, made.steps, rest, made.decodes, made.context)
    found = fit_most(bare, "f", "test")
    assert found.prefill == 0.0
    assert found.seconds(1000, 8, 4000) < 1.0


def test_few_windows_are_no_fit():
    with pytest.raises(UserError, match="19 windows are too few"):
        fit(sums(19, 0.1), "f", "a log")
