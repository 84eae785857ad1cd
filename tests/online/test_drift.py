import numpy as np
import pytest

from lengthwise.online.drift import PageHinkley, log_error

DRAWS = {
    "exponential": lambda draw, n: draw.exponential(size=n),
    "log-normal": lambda draw, n: draw.lognormal(0, 0.75, size=n),
    "half-normal": lambda draw, n: abs(draw.normal(size=n)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_it_stays_quiet_while_nothing_changes(name):
    """No more than one false alarm in 20,000 errors."""
    values = DRAWS[name](np.random.default_rng(1), 60_000)
    test = PageHinkley()
    assert sum(test.add(value) for value in values.tolist()) <= 3


@pytest.mark.parametrize("name", DRAWS)
def test_it_finds_a_rise_by_one_standard_deviation_soon(name):
    """Within 150 errors each time, 100 at the median."""
    draw = np.random.default_rng(2)
    rise = DRAWS[name](draw, 10_000).std()
    delays = []
    for _ in range(30):
        test = PageHinkley()
        assert not any(test.add(value) for value in DRAWS[name](draw, 400).tolist())
        after = (DRAWS[name](draw, 1000) + rise).tolist()
        delays.append(next(i for i, value in enumerate(after) if test.add(value)))
    assert np.median(delays) < 100
    assert max(delays) < 150


def test_smaller_errors_are_no_drift():
    test = PageHinkley()
    values = np.random.default_rng(3).exponential(size=2000)
    values[1000:] *= 0.2
    assert not any(test.add(value) for value in values.tolist())


def test_after_an_alarm_the_new_state_is_the_usual_one():
    draw, test = np.random.default_rng(4), PageHinkley()
    values = draw.exponential(size=5000)
    values[500:] += 3
    alarms = [i for i, value in enumerate(values.tolist()) if test.add(value)]
    assert len(alarms) == 1
    assert 500 < alarms[0] < 600


def test_errors_that_never_vary_do_not_divide_by_zero():
    test = PageHinkley()
    assert not any(test.add(1.0) for _ in range(500))
    assert test.add(2.0)


def test_twice_too_long_is_as_wrong_as_twice_too_short():
    assert log_error(9, 19) == pytest.approx(log_error(19, 9)) == pytest.approx(np.log(2))
    assert log_error(7, 7) == 0
