"""How often, and after which pauses, a request that no replica answered is sent again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """With replicas that are gone, while nothing of the answer was streamed.

    Attributes:
        tries: how often a request is sent, or finds no replica, at most.
        deaths: of replicas under one request, after which it is suspected of killing them.
        first_s, most_s: the first pause, which doubles, and the longest one, in seconds.
        again_s: what a client is told to wait for if there is no answer.
    """

    tries: int = 10
    deaths: int = 3
    first_s: float = 0.1
    most_s: float = 2.0
    again_s: int = 5

    def pauses(self) -> Iterator[float]:
        """Seconds to wait after each try, half of it at random: requests must not come at once."""
        for i in range(self.tries):
            whole = min(self.first_s * 2.0**i, self.most_s)
            yield whole * random.uniform(0.5, 1.0)
