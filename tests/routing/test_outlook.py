"""What an instance holds, laid out in time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.routing.outlook import Held, Outlook

HELD = st.builds(Held, st.integers(1, 50).map(float), st.integers(1, 8).map(lambda n: n / 8))


def by_steps(seated: list[Held], queued: list[Held], share: float) -> int:
    """The first token at which all that wait are in, and there is room for the share."""
    inside, waiting, now = list(seated), list(queued), 0
    while True:
        free = 1.0 - sum(each.share for each in inside)
        while waiting and (free >= waiting[0].share - 1e-9 or not inside):
            free -= waiting[0].share
            inside.append(waiting.pop(0))
        if not waiting and (free >= share - 1e-9 or not inside):
            return now
        now += 1
        inside = [Held(each.left - 1, each.share) for each in inside if each.left > 1]


@given(st.lists(HELD, max_size=6), st.lists(HELD, max_size=6), st.integers(1, 8))
def test_the_wait_is_what_stepping_through_it_gives(
    seated: list[Held], queued: list[Held], share: int
) -> None:
    fits = [each for i, each in enumerate(seated) if sum(s.share for s in seated[: i + 1]) <= 1.0]
    assert Outlook(fits, queued).wait(share / 8) == by_steps(fits, queued, share / 8)


@given(st.lists(HELD, max_size=8), st.floats(0.0, 60.0))
def test_beside_is_the_sum_of_the_smaller(held: list[Held], size: float) -> None:
    found = Outlook(held[:3], held[3:]).beside(size)
    assert found == pytest.approx(sum(min(each.left, size) for each in held))


@given(st.lists(HELD, max_size=8))
def test_work_is_tokens_by_share(held: list[Held]) -> None:
    assert Outlook((), held).taken == pytest.approx(sum(each.share for each in held))
    assert Outlook((), held).work == pytest.approx(sum(each.left * each.share for each in held))
