"""Jain's index, of values of any size and of parties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.results.fairness import evenness, jain, normalised

ANY = st.floats(0.0, allow_infinity=False) | st.sampled_from([0.0, 5e-324, 1e-200, 1e308])
KNOWN = ANY | st.just(float("nan")) | st.just(float("inf"))


def test_jains_index_is_one_for_equals_and_a_share_for_one_of_n() -> None:
    assert jain(np.full(7, 3.0)) == pytest.approx(1.0)
    assert jain(np.array([1.0, 0.0, 0.0, 0.0])) == pytest.approx(0.25)
    assert jain(np.array([np.nan])) is None


def test_the_closed_form_of_two() -> None:
    assert jain(np.array([1.5, 3.0])) == pytest.approx(4.5**2 / (2 * (1.5**2 + 3.0**2)))


@given(st.lists(KNOWN, max_size=20))
def test_the_index_lies_between_one_of_n_and_one(values: list[float]) -> None:
    found = jain(np.array(values))
    known = [each for each in values if np.isfinite(each)]
    if not any(known):
        assert found is None
        return
    assert found is not None
    assert (1 - 1e-9) / len(known) <= found <= 1 + 1e-9


@given(st.lists(ANY, min_size=1, max_size=20), st.integers(0, 5))
def test_the_index_does_not_know_units_or_order(values: list[float], power: int) -> None:
    shares = np.array(values) / max(*values, 5e-324)
    scaled = jain(shares[::-1] * 2.0**power)
    assert scaled == (None if not any(values) else pytest.approx(jain(np.array(values))))


def test_parties_have_their_mean_seconds_a_token_and_the_unfinished_have_none() -> None:
    latency = np.array([10.0, 20.0, 30.0, np.nan, 7.0])
    tokens = np.array([10, 10, 10, 10, 0])
    names = ["a", "a", None, "b", "c"]
    assert normalised(latency, tokens, names).tolist() == [3.0, 1.5, 7.0]
    assert evenness(latency, tokens, ["a"] * 5) == pytest.approx(1.0)
    assert evenness(np.full(2, np.nan), np.ones(2, int), ["a", "b"]) is None
    assert evenness(np.zeros(0), np.zeros(0, int), []) is None


@given(st.lists(st.tuples(KNOWN, st.integers(0, 10**9), st.sampled_from("abc")), max_size=20))
def test_parties_of_any_size_have_an_index_or_none(rows: list[tuple[float, int, str]]) -> None:
    latency = np.array([row[0] for row in rows], np.float64)
    found = evenness(latency, np.array([row[1] for row in rows], int), [row[2] for row in rows])
    parties = {row[2] for row in rows if np.isfinite(row[0])}
    assert found is None or (1 - 1e-9) / len(parties) <= found <= 1 + 1e-9
