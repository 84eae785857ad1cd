"""MLFQ with skip-join, as in FastServe (arXiv 2305.05920): uses no lengths."""

from __future__ import annotations

from lengthwise.core.policy import Key, Policy, Source
from lengthwise.core.request import Request


class MLFQ(Policy):
    """Multi-level feedback queue: level k is left after ``base * growth**k`` tokens.

    A request joins the first level whose quantum covers its prompt, and is demoted when it
    has generated more; inside a level, by arrival. ``mlfq+bound`` promotes the starved.

    Args:
        base: the first level's quantum in tokens.
        growth: from one level's quantum to the next.

    Raises:
        ValueError: if ``base`` is below 1 or ``growth`` not above 1.
    """

    name = "mlfq"
    source: Source = "none"
    preemptive = True
    steady = False

    def __init__(self, base: int = 32, growth: float = 2.0) -> None:
        if base < 1 or not 1 < growth <= 1e6:
            raise ValueError(f"a base of at least 1 and a growth above 1, not {base} and {growth}")
        self.base, self.growth = base, growth

    def rank(self, request: Request) -> float:
        return self._level(request)[0]

    def key(self, request: Request) -> Key:
        # Margins are tokens: they keep requests of one level apart, not levels.
        return (self.rank(request), 0.0)

    def preemptible(self, request: Request) -> bool:
        return True

    def may_preempt(self, request: Request) -> bool:
        return True

    def holds(self, request: Request) -> float:
        return self._level(request)[1] - request.generated + 1

    def _level(self, request: Request) -> tuple[int, int]:
        """The request's level, and the tokens that it may have there."""
        served = max(request.prompt_tokens, request.generated)
        level, quantum = 0, float(self.base)
        while quantum < served:
            level, quantum = level + 1, quantum * self.growth
        return level, int(quantum)
