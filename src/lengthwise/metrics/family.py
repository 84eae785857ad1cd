"""The shape of a Prometheus family: its name, what it means, and how it is read off an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from lengthwise.live.state import EngineNow, Totals

Values = Mapping[tuple[str, ...], float | None]
"""The values of a family by those of its own labels; None where nobody knows."""

LABELS = ("model_name", "engine")
"""Labels of every family, which vLLM's own metrics have too; a family's own follow."""


@dataclass(frozen=True)
class Family:
    """One Prometheus family.

    Attributes:
        name: as it is exposed; of a counter it ends in ``_total``.
        kind: its type for Prometheus.
        help: its meaning in one sentence, with the unit.
        read: its values, from the state of one engine.
        labels: the family's own labels; each has few values, whatever clients send.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    read: Callable[[EngineNow], Values]
    labels: tuple[str, ...] = ()


def counter(name: str, help: str, read: Callable[[EngineNow], Values], *labels: str) -> Family:
    """A family of numbers that only rise while an engine lives."""
    return Family(name, "counter", help, read, labels)


def gauge(name: str, help: str, read: Callable[[EngineNow], Values], *labels: str) -> Family:
    """A family of numbers that rise and fall."""
    return Family(name, "gauge", help, read, labels)


def single(read: Callable[[EngineNow], float | None]) -> Callable[[EngineNow], Values]:
    """The values of a family that has no label of its own."""
    return lambda now: {(): read(now)}


def total(read: Callable[[Totals], float]) -> Callable[[EngineNow], Values]:
    """The same of a number that the engine counts."""
    return single(lambda now: read(now.totals))


def each(known: Iterable[str], found: Mapping[str, float]) -> Values:
    """A number for each value of one label, 0 for the known ones that were not found.

    A counter that is there from the start lets Prometheus see its first increase.
    """
    return {(value,): found.get(value, 0.0) for value in (*known, *found)}
