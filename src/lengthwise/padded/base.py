"""What a system of run-to-completion batches sees, and the one shape of all of them."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import ClassVar

from lengthwise.core.policy import Source
from lengthwise.core.request import Request
from lengthwise.errors import UserError, refuse_unknown
from lengthwise.padded.slice_time import SliceTime


def context(request: Request) -> int:
    """Tokens that a batch must read before the request's next token: prompt and answer so far."""
    return request.prompt_tokens + request.generated


@dataclass(eq=False)
class Batch:
    """Requests that are padded to one length and run together until the batch returns.

    Attributes:
        slice: most tokens they run for; None: until the last of them is done.
        closed: no request joins it any more.
        estimate: seconds it should take; NaN if its system does not estimate.
    """

    requests: list[Request]
    slice: int | None = None
    closed: bool = False
    estimate: float = math.nan

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def length(self) -> int:
        """Tokens that every member is padded to, L(B)."""
        return max(map(context, self.requests))

    @property
    def padding(self) -> int:
        """Pad tokens among the inputs."""
        return len(self) * self.length - sum(map(context, self.requests))

    def halves(self) -> tuple[Batch, Batch]:
        """Both halves, closed: what Magnus makes of a batch that outgrew the memory."""
        middle = len(self) // 2
        one, other = self.requests[:middle], self.requests[middle:]
        return Batch(one, self.slice, closed=True), Batch(other, self.slice, closed=True)


@dataclass(frozen=True)
class Limits:
    """What a system knows of the instances.

    Attributes:
        instances: how many.
        memory: tokens of KV cache that one holds, padding included (the papers' Θ/Δ).
        longest: most tokens of a request, prompt and answer.
        time: seconds of a batch, fitted to a profile of the instances.
    """

    instances: int
    memory: int
    longest: int
    time: SliceTime

    def __post_init__(self) -> None:
        if self.instances < 1:
            raise UserError(f"{self.instances} instances cannot serve: give at least 1")
        if self.memory < self.longest:
            raise UserError(
                f"a memory of {self.memory} tokens cannot hold a request of {self.longest}: "
                "raise it, or lower the cap"
            )

    @property
    def safe_size(self) -> int:
        """The largest batch that never runs out of memory: what fixed batches have."""
        return self.memory // self.longest


@dataclass(frozen=True)
class Constants:
    """The papers' constants; those they do not state have our values.

    Attributes:
        size: requests in a fixed batch; 0 is what always fits the memory.
        ageing: of SSJF, tokens that a request gets ahead by for each second it waits.
        slice: SCLS's S, most tokens of a slice.
        gamma: SCLS's Γ, least seconds between two rounds.
        share: SCLS's λ, the interval as a share of the least load.
        zeta: SCLS's ζ, the share of the memory that it plans with.
        theta: the share of the memory that Magnus plans with: requests predicted too short
            need the rest, and a batch that outgrows it is lost.
        phi: Magnus's Φ, wasted memory accesses below which a request may join a batch.
        summed: 1 for the sum of a batch's wasted accesses instead of the maximum.
        neighbours, refresh: Magnus's serving-time estimate: k, and seconds between its fits.
        quantised_time, quantised_memory: of vanilla with quantisation, beside plain vanilla.
        seats: of continuous batching with a cap; 0 is the fixed batches' size.

    Raises:
        UserError: if one is out of range.
    """

    size: int = 0
    ageing: float = 10.0
    slice: int = 128
    gamma: float = 3.0
    share: float = 0.5
    zeta: float = 0.9
    theta: float = 0.8
    phi: float = 50_000.0
    summed: int = 0
    neighbours: int = 5
    refresh: float = 120.0
    quantised_time: float = 1.2
    quantised_memory: float = 10 / 7
    seats: int = 0

    def __post_init__(self) -> None:
        positive = ("slice", "gamma", "phi", "neighbours", "quantised_time", "quantised_memory")
        for each in fields(self):
            value = getattr(self, each.name)
            least = "above 0" if each.name in positive else "at least 0"
            if not math.isfinite(value) or value < 0 or (each.name in positive and not value):
                raise UserError(f"constant {each.name} must be {least}, not {value}")
        for name in ("zeta", "theta"):
            if not 0 < getattr(self, name) <= 1:
                raise UserError(f"constant {name} is a share above 0 and up to 1")

    @classmethod
    def parse(cls, text: str) -> Constants:
        """Constants from ``slice=64,gamma=0.5``; all others keep their values.

        Raises:
            UserError: for an unknown name or what is not a number.
        """
        pairs = [each.partition("=") for each in text.split(",") if each]
        given = {name: value for name, _, value in pairs}
        refuse_unknown(given, cls, "constant")
        usual = asdict(cls())
        try:
            return cls(**{name: type(usual[name])(value) for name, value in given.items()})
        except UserError:
            raise
        except ValueError:
            raise UserError(f"constants read slice=64,gamma=0.5, not {text!r}") from None


@dataclass(frozen=True)
class Ran:
    """How a batch ran on an instance.

    Attributes:
        seconds: duration of the batch.
        steps: tokens that it ran each member for.
        tokens: [n] of these, valid ones: until the member's end. Out of memory: none.
        finished: [n] whether the member is done.
        out_of_memory: the batch outgrew the memory, and all it computed is lost.
        note: what a real engine measured besides.
    """

    seconds: float
    steps: int
    tokens: list[int]
    finished: list[bool]
    out_of_memory: bool = False
    note: dict[str, float] = field(default_factory=dict)


class System(ABC):
    """Decides which requests run together, when and where; sees no true length.

    Attributes:
        name: what the command line calls it.
        source: the prediction it uses.
    """

    name: str
    source: ClassVar[Source] = "none"

    @abstractmethod
    def add(self, request: Request, now: float) -> None:
        """A request arrived, or came back unfinished from a slice."""

    @abstractmethod
    def assign(self, now: float, idle: Sequence[int]) -> list[tuple[int, Batch]]:
        """Batches for idle instances, at most one each."""

    @abstractmethod
    def split(self, instance: int, batch: Batch) -> None:
        """A batch of several requests ran out of memory: its halves are to be served."""

    @abstractmethod
    def ran(self, instance: int, batch: Batch, ran: Ran) -> None:
        """A batch returned: its members' tokens are counted, unfinished members not added yet."""

    def wake(self, now: float) -> float:
        """The next second at which it assigns although nothing happened; infinite: never."""
        return math.inf
