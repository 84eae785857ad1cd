"""How fast the engine is, learned from what it does: nothing has to be known of it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from lengthwise.core.request import Request
from lengthwise.policies.sizes import Average, LogLine

_LOOKS = 4
"""Of so many steps one is looked at for first tokens: that reads every running request."""

_FADE = 0.99
"""What is left of the pace's sums with every admission: about the last hundred count."""

_US = 1e6


class Tempo:
    """Seconds from a seat to the first token, seconds a token, and work admitted a second.

    Attributes:
        now: seconds, as the engine said last.
    """

    def __init__(self) -> None:
        self.now = -math.inf
        # Microseconds against tokens of the prompt: at first next to no time is expected.
        self._first = LogLine(memory=500, trust=1.0)
        self._token = Average(500)
        self._work = self._seconds = 0.0
        self._seated: dict[str, float] = {}
        self._answering: dict[str, float] = {}
        self._skipped = 0
        self._waited = False

    @property
    def looks(self) -> bool:
        """Whether :meth:`observe` should be shown who runs."""
        self._skipped += 1
        if not self._seated or self._skipped < _LOOKS:
            return False
        self._skipped = 0
        return True

    def observe(self, now: float, running: Iterable[Request], waiting: bool) -> None:
        """Before a step: who runs, if it :attr:`looks`, and whether anybody waits."""
        if self._waited and waiting and now > self.now:
            self._seconds += now - self.now
        self.now, self._waited = now, waiting
        for request in running:
            if request.generated and request.id in self._seated:
                since = self._seated.pop(request.id)
                self._answering[request.id] = now
                if now > since:
                    self._first.add(request.uncached_tokens, _US * (now - since))

    def seated(self, request: Request, work: float) -> None:
        """A waiting request gets a seat."""
        self._seated[request.id] = self.now
        if self._waited:
            self._work = self._work * _FADE + work
            self._seconds *= _FADE

    def unseated(self, request: Request, work: float) -> None:
        """The seat was only looked at."""
        self._seated.pop(request.id, None)
        self._work = max(self._work - work, 0.0)

    def gone(self, request: Request) -> None:
        """The request has ended."""
        self._seated.pop(request.id, None)
        since = self._answering.pop(request.id, None)
        if since is not None and request.generated > 1 and self.now > since:
            self._token.add((self.now - since) / (request.generated - 1))

    def first_token(self, request: Request) -> float:
        """Seconds that a waiting request is expected to need from its seat to its first token."""
        return self._first.at(request.uncached_tokens) / _US

    def answer(self, tokens: float) -> float:
        """Seconds that so many tokens after the first are expected to take."""
        return self._token.mean * tokens

    def drain(self, work: float) -> float:
        """Seconds in which so much waiting work is expected to be admitted."""
        if not self._work or not self._seconds:
            return 0.0
        return work * self._seconds / self._work
