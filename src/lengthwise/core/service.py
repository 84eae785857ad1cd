"""Service classes: what an operator promises to whom."""

from __future__ import annotations

from dataclasses import dataclass

from lengthwise.errors import UserError


@dataclass(frozen=True)
class Target:
    """What every request of a class should get; None where nothing is promised.

    Attributes:
        ttft: most seconds from arrival to the first token.
        tpot: most seconds for each token after the first, on average over the answer.
        deadline: most seconds from arrival to the last token.
    """

    ttft: float | None = None
    tpot: float | None = None
    deadline: float | None = None

    def __bool__(self) -> bool:
        """Whether anything is promised."""
        return self != Target()

    def met(self, ttft: float, latency: float, tokens: int) -> bool:
        """Whether a request that finished got all that was promised.

        Args:
            ttft: seconds from arrival to the first token.
            latency: seconds from arrival to the last token.
            tokens: of its answer.
        """
        return (
            (self.ttft is None or ttft <= self.ttft)
            and (self.deadline is None or latency <= self.deadline)
            and (self.tpot is None or tokens <= 1 or latency - ttft <= self.tpot * (tokens - 1))
        )


@dataclass(frozen=True)
class ServiceClass:
    """Requests that are promised the same.

    Attributes:
        name: as metrics and reports show it.
        target: what is promised.
        share: of the engine's work, what the class cannot lose while it has requests, from 0
            to below 1.
        tenants: whose requests are in it.
    """

    name: str
    target: Target = Target()
    share: float = 0.0
    tenants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Classes:
    """All classes of a server; each request is in one.

    Attributes:
        all: in the order in which they were given.
        default: name of the class of requests that no other class claims.

    Raises:
        UserError: if there are none, two have one name or tenant, or ``default`` is no class.
    """

    all: tuple[ServiceClass, ...]
    default: str

    def __post_init__(self) -> None:
        names = [each.name for each in self.all]
        if len(set(names)) < len(names):
            raise UserError("two classes have the same name: give each its own")
        if self.default not in names:
            raise UserError(f"the default class {self.default!r} is none of {', '.join(names)}")
        tenants = [tenant for each in self.all for tenant in each.tenants]
        for tenant in tenants:
            if tenants.count(tenant) > 1:
                raise UserError(f"tenant {tenant!r} is in two classes: leave it in one")

    def named(self, name: str) -> ServiceClass | None:
        """The class of this name."""
        return next((each for each in self.all if each.name == name), None)

    def of(self, tenant: str | None) -> ServiceClass:
        """The class of a tenant's requests."""
        for each in self.all:
            if tenant is not None and tenant in each.tenants:
                return each
        found = self.named(self.default)
        assert found is not None
        return found
