"""One answer of vLLM's ``/metrics``: its gauges, counters and histograms, over all engines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.errors import UserError


@dataclass(frozen=True, eq=False)
class Histogram:
    """Observations by buckets.

    Attributes:
        edges: [k] upper ends, increasing; the last is infinite.
        counts: [k] observations in each.
        total: their sum.
    """

    edges: Floats
    counts: Floats
    total: float

    @property
    def count(self) -> float:
        """Observations."""
        return float(self.counts.sum())

    @property
    def mean(self) -> float:
        """Their mean; NaN if there are none."""
        return self.total / self.count if self.count else float("nan")

    @property
    def above_least(self) -> float:
        """Share of the observations above the smallest bucket; NaN if there are none."""
        return 1.0 - float(self.counts[0]) / self.count if self.count else float("nan")


@dataclass(frozen=True, eq=False)
class Scrape:
    """What a server said at one moment, summed over its engines.

    Attributes:
        time: seconds on the clock of whatever read it.
        values: gauges and counters by name, without ``vllm:``.
        histograms: by name, without ``vllm:``.
        info: labels of ``cache_config_info``.
        engines: how many there are.
        started: seconds of the server's start on the same clock; None if it does not say.
    """

    time: float
    values: Mapping[str, float]
    histograms: Mapping[str, Histogram]
    info: Mapping[str, str] = field(default_factory=dict)
    engines: int = 1
    started: float | None = None

    def value(self, *names: str) -> float:
        """The first of these gauges or counters that is there, else 0."""
        return next((self.values[name] for name in names if name in self.values), 0.0)

    def histogram(self, *names: str) -> Histogram | None:
        """The first of these histograms that is there and has observations."""
        for name in names:
            found = self.histograms.get(name)
            if found is not None and found.count:
                return found
        return None

    @property
    def usage(self) -> float:
        """Share of the KV cache in use, from 0 to 1: the mean over engines."""
        return self.value("kv_cache_usage_perc", "gpu_cache_usage_perc") / self.engines

    @property
    def computed(self) -> float:
        """Prompt tokens computed so far: those that no cache held."""
        cached = self.value("prompt_tokens_cached_total", "prefix_cache_hits_total")
        return max(self.value("prompt_tokens_total") - cached, 0.0)

    @property
    def steps(self) -> float:
        """Steps so far; 0 if they are not counted."""
        found = self.histogram("iteration_tokens_total", "iteration_tokens")
        return 0.0 if found is None else found.count

    @property
    def block_size(self) -> int | None:
        """Tokens in a block of KV memory."""
        return _whole(self.info.get("block_size"))

    @property
    def kv_tokens(self) -> int | None:
        """Tokens of KV memory of one engine."""
        blocks = _whole(self.info.get("num_gpu_blocks"))
        return blocks * self.block_size if blocks and self.block_size else None


def parse(text: str, time: float, name: str) -> Scrape:
    """A scrape from what a server answered.

    Args:
        time: seconds when it did.
        name: of the server or the file, for messages.

    Raises:
        UserError: if it is not Prometheus' text format, or of no vLLM.
    """
    from prometheus_client.parser import text_string_to_metric_families

    try:
        samples = [
            (sample.name, sample.labels, float(sample.value))
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        ]
    except (ValueError, KeyError, IndexError):
        raise UserError(f"{name} is not in the format of /metrics (Prometheus text)") from None
    ours = [
        (sample.removeprefix("vllm:"), labels, value)
        for sample, labels, value in samples
        if sample.startswith("vllm:")
    ]
    if not any(sample == "num_requests_running" for sample, _, _ in ours):
        raise UserError(f"{name} has no metrics of vLLM (vllm:num_requests_running ...)")
    started = [value for sample, _, value in samples if sample == "process_start_time_seconds"]
    return _summed(ours, time, started[0] if started else None)


def _summed(
    samples: Iterable[tuple[str, Mapping[str, Any], float]], time: float, started: float | None
) -> Scrape:
    values: dict[str, float] = defaultdict(float)
    buckets: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    info: dict[str, str] = {}
    engines = set()
    for name, labels, value in samples:
        if name == "num_requests_running":
            engines.add(labels.get("engine", "0"))
        if name == "cache_config_info":
            info = info or dict(labels)
        elif name.endswith("_bucket"):
            buckets[name.removesuffix("_bucket")][float(labels["le"])] += value
        else:
            values[name] += value
    histograms = {name: _histogram(found, values[f"{name}_sum"]) for name, found in buckets.items()}
    return Scrape(time, dict(values), histograms, info, len(engines), started)


def _histogram(cumulative: Mapping[float, float], total: float) -> Histogram:
    edges = np.array(sorted(cumulative))
    counts = np.diff([cumulative[edge] for edge in edges], prepend=0.0)
    return Histogram(edges, np.maximum(counts, 0.0), total)


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None
