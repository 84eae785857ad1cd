"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.report.numbers import percent, plain, seconds


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (12_345, "12,345"),
        (12_345.6, "12,346"),
        (99.97, "100"),
        (9.999, "10.0"),
        (2.0, "2"),
        (0.0123456, "0.0123"),
        (-1.234, "-1.23"),
        (3e-7, "3.00e-07"),
        (math.inf, "∞"),
        (None, "\N{EN DASH}"),
        (math.nan, "\N{EN DASH}"),
    ],
)
def test_three_digits_count(value: float | None, text: str) -> None:
    assert plain(value) == text


@given(st.floats(-1e300, 1e300) | st.just(math.inf))
def test_any_number_has_a_text_that_is_near_it(value: float) -> None:
    text = plain(value)
    if math.isfinite(value):
        assert float(text.replace(",", "")) == pytest.approx(value, rel=6e-3, abs=1e-300)


def test_seconds_and_changes_have_their_units() -> None:
    assert [seconds(each) for each in (0.0851, 4.21, 720.0)] == ["85.1 ms", "4.21 s", "12 min"]
    assert [percent(each) for each in (0.5, -0.031, -0.0001)] == ["+50 %", "-3.1 %", "+0.0 %"]
    assert [percent(each) for each in (math.inf, -math.inf)] == ["+∞ %", "-∞ %"]
