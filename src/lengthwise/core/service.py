"""Service classes: what an operator promises to whom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

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
        return not self.missed(ttft, latency, tokens)

    def missed(self, ttft: float, latency: float, tokens: int) -> list[str]:
        """What of it a request that finished did not get; arguments as :meth:`met` has them.

        A time that is NaN never came. An answer of one token has no time for each after it.
        """
        after = self.tpot if self.tpot is not None and tokens > 1 else None
        limits = (
            ("ttft", ttft, self.ttft),
            ("tpot", latency - ttft, None if after is None else after * (tokens - 1)),
            ("deadline", latency, self.deadline),
        )
        return [name for name, took, most in limits if most is not None and not took <= most]


@dataclass(frozen=True)
class Sender:
    """What a request says of whoever sent it; None where it says nothing.

    Attributes:
        tenant: whose request it is.
        priority: vLLM's own field, 0 where the client sends none.
        tier: OpenAI's ``service_tier``.
        service: the class that the client asks for by name.
    """

    tenant: str | None = None
    priority: int = 0
    tier: str | None = None
    service: str | None = None


@dataclass(frozen=True)
class ServiceClass:
    """Requests that are promised the same.

    Attributes:
        name: as metrics and reports show it.
        target: what is promised.
        share: of the engine's work, what the class cannot lose while it has requests, from 0
            to below 1.
        tenants: whose requests are in it.
        tiers: values of ``service_tier`` that put a request into it.
        priorities: values of vLLM's ``priority`` that do.
    """

    name: str
    target: Target = Target()
    share: float = 0.0
    tenants: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    priorities: tuple[int, ...] = ()


@dataclass(frozen=True)
class Classes:
    """All classes of a server; each request is in one.

    Attributes:
        all: in the order in which they were given: where promises cannot all be kept, those
            of later classes give way first.
        default: name of the class of requests that no other class claims.
        clients_choose: whether a client may ask for a class by its name.

    Raises:
        UserError: if two have one name, tenant, tier or priority, ``default`` is no class,
            or the shares are no shares of one whole.
    """

    all: tuple[ServiceClass, ...]
    default: str
    clients_choose: bool = False

    def __post_init__(self) -> None:
        names = [each.name for each in self.all]
        if len(set(names)) < len(names):
            raise UserError("two classes have the same name: give each its own")
        if self.default not in names:
            known = ", ".join(names) or "there are none"
            raise UserError(f"the default class {self.default!r} is no class: {known}")
        for what in ("tenants", "tiers", "priorities"):
            claimed: dict[Any, str] = {}
            for each in self.all:
                for claim in getattr(each, what):
                    _claim(claimed, claim, each.name, what)
        if sum(each.share for each in self.all) >= 1.0:
            raise UserError(
                "the shares of all classes sum to 1 or more: leave something for what they "
                "do not need"
            )

    @property
    def names(self) -> list[str]:
        """Of all classes, in their order."""
        return [each.name for each in self.all]

    @property
    def promised(self) -> bool:
        """Whether any class is promised anything."""
        return any(each.target or each.share for each in self.all)

    def named(self, name: str) -> ServiceClass | None:
        """The class of this name."""
        return self._named.get(name)

    def of(self, sender: Sender) -> ServiceClass:
        """The class of a sender's requests.

        The first that applies: the class that the client asks for, where clients choose; its
        tenant's; its tier's; its priority's; the default.
        """
        asked = self._named.get(sender.service or "") if self.clients_choose else None
        return (
            asked
            or self._tenants.get(sender.tenant or "")
            or self._tiers.get(sender.tier or "")
            or self._priorities.get(sender.priority)
            or self._named[self.default]
        )

    def plain(self) -> dict[str, Any]:
        """As the file of classes has it; :func:`lengthwise.core.classes_file.classes_of` reads it.

        Durations are in seconds.
        """
        return {
            "default": self.default,
            "clients_choose": self.clients_choose,
            "class": {each.name: _plain(each) for each in self.all},
        }

    @cached_property
    def _named(self) -> dict[str, ServiceClass]:
        return {each.name: each for each in self.all}

    @cached_property
    def _tenants(self) -> dict[str, ServiceClass]:
        return _by((each.tenants, each) for each in self.all)

    @cached_property
    def _tiers(self) -> dict[str, ServiceClass]:
        return _by((each.tiers, each) for each in self.all)

    @cached_property
    def _priorities(self) -> dict[int, ServiceClass]:
        return _by((each.priorities, each) for each in self.all)


def _claim(claimed: dict[Any, str], claim: object, name: str, what: str) -> None:
    if claim in claimed:
        one = {"tenants": "tenant", "tiers": "tier", "priorities": "priority"}[what]
        where = "twice in one class" if claimed[claim] == name else "in two classes"
        raise UserError(f"{one} {claim!r} is {where}: leave it in one")
    claimed[claim] = name


def _by(claims: Iterable[tuple[Iterable[Any], ServiceClass]]) -> dict[Any, ServiceClass]:
    return {claim: each for several, each in claims for claim in several}


def _plain(each: ServiceClass) -> dict[str, Any]:
    targets = {name: value for name, value in asdict(each.target).items() if value is not None}
    lists = {what: [*getattr(each, what)] for what in ("tenants", "tiers", "priorities")}
    return targets | {"share": each.share} | {what: found for what, found in lists.items() if found}
