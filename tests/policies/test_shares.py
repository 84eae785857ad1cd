"""Shares of admitted work: what a group cannot lose while it waits."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.policies.shares import Shares


def test_a_group_that_is_passed_over_is_owed_and_pays_back() -> None:
    shares = Shares([0.0, 0.25])
    shares.waits([0], 10)
    shares.waits([1], 10)
    for _ in range(4):
        assert shares.owed()[1] <= 0.0
        shares.admit([0], 8.0)
    shares.admit([0], 1.0)
    assert shares.owed()[0] < 0.0 < shares.owed()[1]
    shares.admit([1], 8.0)
    assert shares.owed()[1] < 0.0 < shares.credit[1]


def test_nobody_earns_while_nobody_waits() -> None:
    shares = Shares([0.0, 0.5])
    shares.waits([0], 2)
    shares.admit([0], 8.0)
    assert shares.credit == [0.0, 0.0]


def test_a_look_changes_nothing() -> None:
    shares = Shares([0.3, 0.3])
    for group in (0, 1):
        shares.waits([group], 5)
    shares.admit([0], 7.0)
    before = shares.credit[:]
    shares.undo([1], shares.admit([1], 3.0))
    assert shares.credit == before
    shares.admit([1], 3.0)
    assert shares.credit != before


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from([0.05, 0.1, 0.3]), min_size=2, max_size=3),
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 40)), min_size=50, max_size=300),
)
def test_whoever_waits_gets_its_share_but_for_a_few_requests(
    given_shares: list[float], choices: list[tuple[int, int]]
) -> None:
    """Against anybody who prefers whatever group, as long as the owed go first."""
    shares, n = Shares(given_shares), len(given_shares)
    for group in range(n):
        shares.waits([group], len(choices) + 1)
    served, largest, total = [0.0] * n, 0.0, 0.0
    for wish, work in choices:
        best = max(range(n), key=shares.credit.__getitem__)
        group = best if shares.owed()[best] > 0 else wish % n
        shares.admit([group], float(work))
        served[group] += work
        total += work
        largest = max(largest, work)
        for each in range(n):
            assert served[each] >= given_shares[each] * total - (n + 2) * largest
