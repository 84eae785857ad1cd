"""The metrics of all replicas as one page, each sample with the replica that it is of."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

TYPE = b"text/plain; version=0.0.4; charset=utf-8"


class _Pages(Collector):
    def __init__(self, pages: Mapping[str, str]) -> None:
        self._pages = pages

    def collect(self) -> list[Metric]:
        """The families of all pages, those of one name together."""
        found: dict[str, Metric] = {}
        for replica, page in self._pages.items():
            for family in text_string_to_metric_families(page):
                # A counter's family is named without the ending of its samples.
                name = family.name.removesuffix("_total")
                name = name if family.type == "counter" else family.name
                made = Metric(name, family.documentation, family.type)
                whole = found.setdefault(name, made)
                whole.samples += [
                    sample._replace(labels={**sample.labels, "replica": replica})
                    for sample in family.samples
                ]
        return list(found.values())


def together(pages: Mapping[str, str]) -> bytes:
    """One page of several, by replica; a sample's label ``replica`` says whose it is."""
    registry = CollectorRegistry()
    registry.register(_Pages(pages))
    return generate_latest(registry)
