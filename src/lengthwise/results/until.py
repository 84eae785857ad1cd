"""``--until``: how long it takes until so many requests have finished, for every engine alike."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray


class Until(TypedDict, total=False):
    """Two fields of a run, or none."""

    until: int
    until_s: float | None


def time_until(finish: NDArray[np.float64], until: int | None) -> Until:
    """``until_s``, the seconds until this many requests have finished (None: fewer did).

    ``finish`` is in seconds from the first arrival, [n]. Empty if no number is asked for.
    """
    if until is None:
        return {}
    enough = 0 < until <= len(finish)
    return {"until": until, "until_s": float(np.sort(finish)[until - 1]) if enough else None}
