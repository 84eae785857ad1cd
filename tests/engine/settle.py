"""Predictions of new requests at a known step, however fast or busy the machine is."""

from __future__ import annotations

import time
from typing import Any

_PATIENCE_S = 600.0
"""Only ends a test that hangs."""


def settle(scheduler: Any) -> None:
    """Wait for the predictions of requests that just arrived; the next step gets them all."""
    awaited = {id for id, view in scheduler._views.items() if view.awaited}
    arrivals, found = scheduler.arrivals, []
    end = time.monotonic() + _PATIENCE_S
    while awaited - {id for id, _ in found}:
        assert time.monotonic() < end, "the predictions do not come"
        found += arrivals.ready()
        time.sleep(0.001)

    def once() -> list[tuple[str, float]]:
        del arrivals.ready
        return [*found, *arrivals.ready()]

    arrivals.ready = once
