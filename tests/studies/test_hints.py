"""Who gains by what it says: the honest do, and liars no more than the silent."""

from __future__ import annotations

import pytest

from lengthwise.sim.setup import Setup
from lengthwise.studies.hints import Latency, Pair


def latency(pair: Pair, way: str, honest: bool = True) -> Latency:
    return pair.latency(honest, way, "lengthwise", "a100-llama3-8b", Setup(seats=64))


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair(2500, 22.0, 3)


@pytest.mark.parametrize("way", ["always 1", "short for long", "1, a new name each time"])
def test_liars_are_served_as_if_they_said_nothing(pair: Pair, way: str) -> None:
    assert latency(pair, way) == latency(pair, "says nothing")


def test_the_honest_gain_and_those_who_begin_to_lie_lose_it(pair: Pair) -> None:
    nobody = latency(pair, "says nothing", honest=False)
    silent, honest = latency(pair, "says nothing"), latency(pair, "honest")
    assert silent.honest < 0.95 * nobody.honest
    assert honest.other < 0.95 * silent.other
    fell_silent = latency(pair, "honest, then nothing")
    for way in ("honest, then always 1", "honest, then always short"):
        assert latency(pair, way).later > 0.97 * fell_silent.later
