"""A workload: when requests arrive and how many tokens each of them is."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from lengthwise.errors import UserError

Seconds = NDArray[np.float64]
Tokens = NDArray[np.int64]


def _no_tokens() -> Tokens:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Workload:
    """n requests in order of arrival; the arrays are read-only copies.

    Only the simulator and the predictors may see ``output``: a policy never gets a
    workload.

    Attributes:
        arrival: [n] seconds, from 0 on, not decreasing.
        prompt: [n] prompt tokens, at least 1.
        output: [n] output tokens, at least 1: the true lengths.
        prefix: [n] of the prompt tokens, those a prefix cache already holds; left out, 0.
        name: where the requests come from.
        dropped: records of the source left out on purpose (failed requests and the like).
        id: the requests' own ids, n of them, or none.
        tenant: the requests' tenants, n names (None: no tenant), or none.
        priority: [n] the clients' classes, the lower first; left out, 0.

    Raises:
        UserError: names the first record that is not a request.
    """

    arrival: Seconds
    prompt: Tokens
    output: Tokens
    prefix: Tokens = field(default_factory=_no_tokens)
    name: str = "workload"
    dropped: int = 0
    id: tuple[str, ...] = ()
    tenant: tuple[str | None, ...] = ()
    priority: Tokens = field(default_factory=_no_tokens)

    def __post_init__(self) -> None:
        if not np.size(self.prefix):
            object.__setattr__(self, "prefix", np.zeros(len(self.arrival), np.int64))
        if not np.size(self.priority):
            object.__setattr__(self, "priority", np.zeros(len(self.arrival), np.int64))
        self._own("arrival", np.float64)
        for name in ("prompt", "output", "prefix", "priority"):
            if np.asarray(getattr(self, name)).dtype.kind not in "iu":
                raise UserError(f"{self.name}: {name} must be whole numbers")
            self._own(name, np.int64)
        bad = first_bad(self.arrival, self.prompt, self.output, self.prefix)
        if bad is not None:
            raise UserError(f"{self.name}, record {bad[0] + 1}: {bad[1]}")
        for names, what in ((self.id, "ids"), (self.tenant, "tenants")):
            if len(names) not in (0, len(self)):
                raise UserError(f"{self.name}: {len(names)} {what} for {len(self)} requests")
        if self.arrival[0] != 0:
            raise UserError(f"{self.name}, record 1: the first arrival must be at 0")

    def _own(self, name: str, kind: type[np.float64 | np.int64]) -> None:
        array = np.array(getattr(self, name), dtype=kind)
        if array.ndim != 1 or len(array) != len(self.arrival) or not len(array):
            raise UserError(f"{self.name}: arrays of one length, at least 1, make a workload")
        array.setflags(write=False)
        object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.arrival)

    @property
    def rate(self) -> float:
        """Requests per second from the first to the last; infinite for a burst."""
        span = float(self.arrival[-1])
        return (len(self) - 1) / span if span > 0 else math.inf

    @property
    def cv(self) -> float:
        """Coefficient of variation of the gaps between arrivals; NaN for a burst."""
        if not self.arrival[-1] > 0:
            return math.nan
        gaps = np.diff(self.arrival)
        return float(gaps.std() / gaps.mean())

    def head(self, n: int) -> Workload:
        """The first n requests.

        Raises:
            UserError: if there are not as many.
        """
        if not 1 <= n <= len(self):
            raise UserError(f"{self.name} has {len(self)} requests: cannot take the first {n}")
        return replace(self.rows(np.arange(n), self.arrival[:n]), dropped=self.dropped)

    def rows(self, index: NDArray[np.integer], arrival: Seconds) -> Workload:
        """Some of the requests, whole, with arrivals of their own: [m] indices, [m] seconds."""
        return Workload(
            arrival,
            self.prompt[index],
            self.output[index],
            self.prefix[index],
            self.name,
            id=tuple(self.id[row] for row in index) if self.id else (),
            tenant=tuple(self.tenant[row] for row in index) if self.tenant else (),
            priority=self.priority[index],
        )

    def scaled_to(self, rate: float) -> Workload:
        """The same requests, their times stretched to ``rate`` per second; a burst stays one.

        Raises:
            UserError: if the rate is not a positive number.
        """
        if not 0 < rate < math.inf:
            raise UserError(f"{self.name}: a rate must be positive, not {rate}")
        if not self.arrival[-1] > 0:
            return self
        return replace(self, arrival=self.arrival * (self.rate / rate))


def first_bad(
    arrival: Seconds, prompt: Tokens, output: Tokens, prefix: Tokens
) -> tuple[int, str] | None:
    """Index of the first record that is no valid request, and its fault."""
    earlier = np.zeros(len(arrival), dtype=bool)
    earlier[1:] = arrival[1:] < arrival[:-1]
    rules = (
        (~np.isfinite(arrival), "arrival is not a finite time"),
        (earlier, "arrives before the record above it"),
        (arrival < 0, "arrival is negative"),
        (prompt < 1, "a prompt has at least 1 token"),
        (output < 1, "an output has at least 1 token"),
        ((prefix < 0) | (prefix > prompt), "cached prefix is not within the prompt"),
    )
    found = [(int(np.argmax(broken)), what) for broken, what in rules if broken.any()]
    return min(found, key=lambda bad: bad[0], default=None)
