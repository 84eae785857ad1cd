"""All Prometheus families of lengthwise, in the order in which the reference lists them."""

from __future__ import annotations

from lengthwise.metrics.family import Family, gauge, single
from lengthwise.metrics.of_engine import COST, PREDICTIONS
from lengthwise.metrics.of_requests import BOUND, CLASSES, MEMORY, ORDER

UP = gauge(
    "lengthwise_up",
    "1 while the engine answers when it is asked for its state, else 0.",
    single(lambda now: 1),
)
"""Shown for engines that give no answer, too."""

FAMILIES: tuple[Family, ...] = (*(UP, *ORDER, *BOUND, *MEMORY, *PREDICTIONS, *COST, *CLASSES),)
"""All of them."""
