import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.errors import UserError
from lengthwise.sim.steps import (
    Linear,
    Roofline,
    Scaled,
    load_profile,
    profile_names,
    steps_within,
)

LINEAR = Linear("l", "test", base=0.02, prefill=1e-4, decode=2e-3, context=3e-6)
CARD = Roofline("r", "test", 1e9, 1e5, 2e9, bandwidth=1e12, peak=1e13, overhead=1e-3)
TIMES = pytest.mark.parametrize(
    "time", [LINEAR, CARD, Scaled(CARD, 1.5)], ids=["linear", "roofline", "scaled"]
)


def slowly(time, steps, decodes, context):
    return sum(time.seconds(0, decodes, context + i * decodes) for i in range(steps))


@TIMES
@given(st.integers(1, 300), st.integers(1, 400), st.integers(0, 100_000))
def test_a_stretch_is_its_steps(time, steps, decodes, context):
    expected = slowly(time, steps, decodes, context)
    assert time.stretch(steps, decodes, context) == pytest.approx(expected, rel=1e-9)


@TIMES
@given(st.floats(1e-4, 5.0), st.integers(1, 200), st.integers(1, 64))
def test_steps_within_is_the_first_boundary_not_before(time, seconds, most, decodes):
    steps = steps_within(time, seconds, most, decodes, 1000)
    assert 1 <= steps <= most
    if steps < most:
        assert time.stretch(steps, decodes, 1000) >= seconds
    assert steps == 1 or time.stretch(steps - 1, decodes, 1000) < seconds


def test_the_fit_finds_what_made_the_steps():
    rng = np.random.default_rng(0)
    parts = np.column_stack(
        [rng.integers(0, 500, 400), rng.integers(0, 16, 400), rng.integers(0, 9000, 400)]
    )
    seconds = np.array([LINEAR.seconds(*map(int, row)) for row in parts])
    noisy = seconds * rng.normal(1.0, 0.03, len(seconds))
    found = Linear.fit("f", "test", np.column_stack([parts, noisy]))
    for name in ("base", "prefill", "decode", "context"):
        assert getattr(found, name) == pytest.approx(getattr(LINEAR, name), rel=0.1)
    assert 0.01 < found.error < 0.05


def test_no_part_of_a_step_takes_negative_time():
    rng = np.random.default_rng(1)
    rows = np.column_stack([rng.integers(0, 9, (100, 3)), rng.uniform(0.5, 1.0, 100)])
    found = Linear.fit("f", "test", rows)
    assert min(found.base, found.prefill, found.decode, found.context) >= 0


@TIMES
def test_scaled_steps_take_so_many_times_as_long(time):
    slow = Scaled(time, 2.5)
    assert slow.seconds(100, 8, 4000) == pytest.approx(2.5 * time.seconds(100, 8, 4000))
    assert slow.stretch(50, 8, 4000) == pytest.approx(2.5 * time.stretch(50, 8, 4000))
    assert LINEAR.scaled(2.5).seconds(9, 8, 400) == pytest.approx(2.5 * LINEAR.seconds(9, 8, 400))
    with pytest.raises(UserError, match="0 times as long"):
        Scaled(time, 0)


def test_too_few_steps_are_no_profile():
    with pytest.raises(UserError, match="too few"):
        Linear.fit("f", "test", np.ones((5, 4)))


@pytest.mark.parametrize("time", [LINEAR, CARD], ids=["linear", "roofline"])
def test_a_saved_profile_comes_back(tmp_path, time):
    time.save(tmp_path / "deep" / "own.json")
    found = load_profile(str(tmp_path / "deep" / "own.json"))
    assert found.seconds(10, 2, 300) == time.seconds(10, 2, 300)


def test_every_shipped_profile_states_its_source():
    assert "a100-llama3-8b" in profile_names()
    for name in profile_names():
        profile = load_profile(name)
        assert len(profile.source) > 20
        assert 0 < profile.seconds(0, 16, 5000) < 1


def test_a_profile_that_is_none_is_one_line(tmp_path):
    with pytest.raises(UserError, match="a100-llama3-8b"):
        load_profile("nothing")
    for content in ("{", '{"kind": "odd"}', json.dumps({"kind": "linear", "name": "x"})):
        path = tmp_path / "bad.json"
        path.write_text(content)
        with pytest.raises(UserError, match="cannot be read"):
            load_profile(str(path))
