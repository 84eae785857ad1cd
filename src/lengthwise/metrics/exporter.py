"""The families as objects of prometheus_client, set from the states of engines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from lengthwise.live.state import EngineNow
from lengthwise.metrics.families import FAMILIES, UP
from lengthwise.metrics.family import LABELS, Family

Shown = Counter | Gauge


@cache
def _made(registry: CollectorRegistry) -> dict[str, Shown]:
    """The objects of a registry, made once: a process may have several engines after another."""
    return {family.name: _make(family, registry) for family in FAMILIES}


def _make(family: Family, registry: CollectorRegistry) -> Shown:
    labels = (*LABELS, *family.labels)
    if family.kind == "counter":
        return Counter(family.name, family.help, labels, registry=registry)
    # Where several API servers share a directory of metrics, one of them sets ours.
    return Gauge(
        family.name, family.help, labels, registry=registry, multiprocess_mode="mostrecent"
    )


class Exporter:
    """Shows the states of a server's engines as metrics.

    Args:
        model: the model's name for clients, as vLLM's own metrics have it.
        engines: numbers of the engines that should answer.
        registry: where the metrics are collected; the process's own unless a test has its own.
    """

    def __init__(
        self, model: str, engines: Iterable[int], registry: CollectorRegistry = REGISTRY
    ) -> None:
        self._model = model
        self._engines = set(engines)
        self._made = _made(registry)
        self._counted: dict[int, dict[tuple[str, ...], float]] = {}
        self._steps: dict[int, int] = {}
        self.silent()

    def show(self, states: Sequence[EngineNow]) -> set[int]:
        """Set every metric; the engines that are expected, but did not answer."""
        missing = self._engines - {now.engine for now in states}
        for now in states:
            self._engines.add(now.engine)
            if now.totals.steps < self._steps.get(now.engine, 0):
                # The engine was started again and counts from 0, which Prometheus need not know.
                self._counted.pop(now.engine)
            self._steps[now.engine] = now.totals.steps
            for family in FAMILIES:
                self._set(family, now)
        self._down(missing)
        return missing

    def silent(self) -> None:
        """No engine answered: ``lengthwise_up`` is 0, and all else stays as it was."""
        self._down(self._engines)

    def _down(self, engines: Iterable[int]) -> None:
        up = self._made[UP.name]
        assert isinstance(up, Gauge)
        for engine in engines:
            up.labels(self._model, str(engine)).set(0)

    def _set(self, family: Family, now: EngineNow) -> None:
        shown = self._made[family.name]
        counted = self._counted.setdefault(now.engine, {})
        for own, value in family.read(now).items():
            one = shown.labels(self._model, str(now.engine), *own)
            if isinstance(one, Gauge):
                one.set(math.nan if value is None else value)
            else:
                before = counted.get((family.name, *own), 0.0)
                after = counted[family.name, *own] = max(before, value or 0.0)
                one.inc(after - before)
