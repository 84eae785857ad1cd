"""``--until``: how long it takes until so many requests have finished, for every engine alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def reached(finish: NDArray[np.float64], until: int | None) -> dict[str, Any]:
    """``until_s``, the seconds until so many requests had finished (None: fewer did).

    ``finish`` is in seconds from the first arrival, [n]. Nothing where nobody asks.
    """
    if until is None:
        return {}
    enough = 0 < until <= len(finish)
    return {"until": until, "until_s": float(np.sort(finish)[until - 1]) if enough else None}


def shown(runs: Sequence[Mapping[str, Any]]) -> str:
    """A table's cell for some runs of one kind: the mean, or never if one did not get there."""
    seconds = [run.get("until_s") for run in runs]
    return "never" if None in seconds else f"{np.mean(np.array(seconds)):.3g}s"
