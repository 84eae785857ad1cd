"""Who gains by what it says: the honest do, and liars no more than the silent."""

from __future__ import annotations

import pytest

from lengthwise.studies.hints import Pair, Server

OURS = Server()


@pytest.fixture(scope="module")
def pair() -> Pair:
    return Pair(2500, 22.0, 3)


@pytest.mark.parametrize("way", ["always 1", "short for long", "1, a new name each time"])
def test_liars_are_served_as_if_they_said_nothing(pair: Pair, way: str) -> None:
    assert pair.latency(OURS, way) == pair.latency(OURS, "says nothing")


def test_the_honest_gain_and_those_who_begin_to_lie_lose_it(pair: Pair) -> None:
    nobody = pair.latency(OURS, "says nothing", honest=False)
    silent, honest = pair.latency(OURS, "says nothing"), pair.latency(OURS, "honest")
    assert silent.honest < 0.95 * nobody.honest
    assert honest.other < 0.95 * silent.other
    fell_silent = pair.latency(OURS, "honest, then nothing")
    for way in ("honest, then always 1", "honest, then always short"):
        assert pair.latency(OURS, way).later > 0.97 * fell_silent.later


def test_where_everybody_is_believed_lies_pay(pair: Pair) -> None:
    credulous = Server(believes_all=True)
    silent = pair.latency(credulous, "says nothing")
    assert pair.latency(credulous, "honest order, a tenth").other < 0.9 * silent.other
