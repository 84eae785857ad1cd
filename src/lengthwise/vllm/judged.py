"""How predictions turned out: errors, and pairs that they ordered right, by who made them."""

from __future__ import annotations

from collections import Counter, defaultdict, deque

import msgspec
import numpy as np

from lengthwise.core.request import Request
from lengthwise.live.state import PredictorNow
from lengthwise.online.pairs import KnownLengths

_LAST = 200
"""Requests of each source that count. Pairs grow with its square."""

_AFRESH = 20
"""Requests that finish between two counts of the pairs, at most: a count takes most of a
millisecond."""


class Judged:
    """Compares the first prediction of each request that finished with its answer."""

    def __init__(self) -> None:
        self._last: defaultdict[str, deque[tuple[float, int, bool]]] = defaultdict(
            lambda: deque(maxlen=_LAST)
        )
        self._used: Counter[str] = Counter()
        self._missing = 0
        self._counted: dict[str, tuple[int, PredictorNow]] = {}

    def finished(self, view: Request, cut: bool) -> None:
        """A request has its whole answer, or one that was cut at its limit."""
        if view.source is None or view.initial is None:
            self._missing += 1
            return
        self._used[view.source] += 1
        self._last[view.source].append((view.initial, view.generated, cut))

    def now(self, wanted: str) -> list[PredictorNow]:
        """Of each source what is known.

        Args:
            wanted: the policy's best source of predictions; requests that had none of any
                count as missed by it. ``none`` for policies that read none.
        """
        found = {source: self._of(source) for source in sorted(self._used)}
        if wanted != "none" and self._missing:
            source = "prompt" if wanted == "probe" else wanted
            known = found.get(source, PredictorNow(source))
            found[source] = msgspec.structs.replace(known, missing=self._missing)
        return list(found.values())

    def _of(self, source: str) -> PredictorNow:
        used = self._used[source]
        at, known = self._counted.get(source, (0, None))
        if known is None or used - at >= min(_AFRESH, 1 + at // 10):
            rows = self._last[source]
            predicted = np.array([row[0] for row in rows], np.float64)
            tokens = np.array([row[1] for row in rows], np.int64)
            cut = np.array([row[2] for row in rows], np.bool_)
            pairs = KnownLengths(tokens, cut).right(predicted).value
            error = float(np.abs(predicted - tokens).mean())
            right = None if np.isnan(pairs) else pairs
            known = PredictorNow(source, len(rows), error, right, used)
            self._counted[source] = used, known
        return known
