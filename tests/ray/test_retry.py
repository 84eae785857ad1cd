"""Pauses between tries."""

from __future__ import annotations

from lengthwise.ray.retry import Patience


def test_pauses_grow_to_a_bound_and_end() -> None:
    pauses = list(Patience(tries=8, first_s=0.1, most_s=1.0).pauses())
    assert len(pauses) == 8
    for i, pause in enumerate(pauses):
        whole = min(0.1 * 2**i, 1.0)
        assert 0.5 * whole <= pause <= whole


def test_no_two_requests_wait_for_the_same_times() -> None:
    assert list(Patience().pauses()) != list(Patience().pauses())
