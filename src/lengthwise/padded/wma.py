"""Wasted memory accesses: what Magnus's batcher keeps small (arXiv 2406.04785)."""

from __future__ import annotations

from dataclasses import dataclass


def accesses(length: float, generation: float) -> float:
    """Token reads of a request with a prompt of L tokens and G generated ones.

    It reads its own tokens before each step but the first: G·L + G(G-1)/2.
    """
    return generation * length + generation * (generation - 1) / 2


@dataclass
class Waste:
    """What a batch of predicted lengths wastes, kept in O(1) for each member.

    A member p wastes WMA_gen = G(p)·(L(B) - L(p)) on padding and WMA_wait = (G(B)-G(p))·L(B)
    + [G(B)(G(B)-1) - G(p)(G(p)-1)]/2 on waiting for the longest. The two add up to
    ``accesses(L(B), G(B)) - accesses(L(p), G(p))``: so a batch's worst member is the one
    with the fewest accesses of its own, and its sum follows from theirs.

    Attributes:
        size, length, generation: |B|, L(B) and G(B).
        least, total: the fewest accesses of a member, and all members' together.
    """

    size: int = 0
    length: int = 0
    generation: float = 0.0
    least: float = float("inf")
    total: float = 0.0

    def joined(self, length: int, generation: float) -> Waste:
        """The same batch with one more request."""
        own = accesses(length, generation)
        return Waste(
            self.size + 1,
            max(self.length, length),
            max(self.generation, generation),
            min(self.least, own),
            self.total + own,
        )

    @property
    def worst(self) -> float:
        """The largest waste of a member: the batch's WMA."""
        return accesses(self.length, self.generation) - self.least

    @property
    def sum(self) -> float:
        """All members' waste."""
        return self.size * accesses(self.length, self.generation) - self.total

    @property
    def memory(self) -> float:
        """KV tokens of the whole batch at its end, |B|·(L(B) + G(B))."""
        return self.size * (self.length + self.generation)
