"""Hints that are not used, counted and named in the log."""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from lengthwise.workload.clients import shown

logger = logging.getLogger("vllm.lengthwise")

_QUIET_S = 60.0
"""Seconds between two lines of the log about hints that were ignored."""

MOST_UNTRUSTED = 16
"""Headers and fields that one request can have named anybody in."""


class Ignored:
    """Counts hints that are outside their limits, and logs one line a minute at most.

    Args:
        clock: seconds.

    Attributes:
        counts: ignored hints by key.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_until = -math.inf
        self.counts: Counter[str] = Counter()

    def add(self, key: str, said: Any, wanted: str) -> None:
        """A hint under this key is not used: its value, and what it should be."""
        self.counts[key] += 1
        if self._clock() < self._quiet_until:
            return
        self._quiet_until = self._clock() + _QUIET_S
        logger.warning(
            "lengthwise ignores a client's hint: %s is %s, not %s (hints ignored so far: %d)",
            key,
            wanted,
            shown(said),
            self.counts.total(),
        )

    def untrusted(self, places: Any) -> None:
        """These headers and fields were not believed; the API server has logged that."""
        if isinstance(places, list):
            self.counts["untrusted"] += min(len(places), MOST_UNTRUSTED)
