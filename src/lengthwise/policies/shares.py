"""Shares of the admitted work that a group of requests cannot lose while some of it wait."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_FADE = 0.999
"""What is left of the largest request's size with every admission."""


class Shares:
    """A credit for each group, in tokens of work.

    While requests of a group wait, its credit grows by its share of all work that is admitted;
    it falls by what is admitted of its own, to 0 at least. A group with more credit than the
    largest request is *owed*: it goes first. So a group with the share s and the waiting work B
    waits at most for (B + 2 w) / s of admitted work, w being the largest request, if it alone is
    owed.

    Args:
        shares: of each group, from 0 to below 1.

    Attributes:
        credit: tokens of work, one number for each group.
    """

    def __init__(self, shares: Sequence[float]) -> None:
        self._shares = tuple(shares)
        self.credit = [0.0] * len(self._shares)
        self._waiting = [0] * len(self._shares)
        self._largest = 0.0

    def owed(self) -> list[float]:
        """Tokens of work that each group is owed; 0 or less for none."""
        return [credit - self._largest for credit in self.credit]

    def waits(self, groups: Iterable[int], change: int) -> None:
        """So many requests more wait that are in these groups."""
        for group in groups:
            self._waiting[group] += change

    def admit(self, groups: Sequence[int], work: float) -> list[float]:
        """A waiting request of these groups gets a seat; what each credit was before."""
        before = self.credit[:]
        self._largest = max(self._largest * _FADE, work)
        most = self._largest * (len(before) + 1)
        for group, share in enumerate(self._shares):
            if not share:
                continue
            grown = before[group] + (share * work if self._waiting[group] else 0.0)
            if group in groups:
                grown -= work
            self.credit[group] = min(max(grown, 0.0), most)
        self.waits(groups, -1)
        return before

    def undo(self, groups: Sequence[int], before: list[float]) -> None:
        """The admission was only a look; nothing else was admitted since."""
        self.credit = before[:]
        self.waits(groups, 1)
