"""How evenly several parties are served: Jain's index of their latency for each output token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lengthwise.core.arrays import Floats, Ints


def jain(values: Floats) -> float | None:
    """Jain's fairness index of positive values [n]: (Σx)² / (n Σx²); None if none is known."""
    known = values[np.isfinite(values)]
    if not len(known) or not known.any():
        return None
    # In shares of the largest: the squares of tiny values would vanish, those of huge ones
    # would be infinite.
    shares = known / known.max()
    return float(shares.sum() ** 2 / (len(shares) * (shares**2).sum()))


def normalised(latency: Floats, tokens: Ints, parties: Sequence[str | None]) -> Floats:
    """[parties] mean seconds for each output token of each party that finished a request.

    Args:
        latency: [n] seconds, NaN for requests that never finished.
        tokens: [n] of the answers; an answer without tokens counts as one of one token.
        parties: n names, in any order; None is a party, too.
    """
    done = np.isfinite(latency)
    each = latency[done] / np.maximum(tokens[done], 1)
    named = np.array([name or "" for name in parties], dtype=str)[done]
    _, party = np.unique(named, return_inverse=True)
    count = np.bincount(party)
    # Divided first: the sum of huge latencies would be infinite.
    return np.bincount(party, each / count[party]).astype(np.float64)


def evenness(latency: Floats, tokens: Ints, parties: Sequence[str | None]) -> float | None:
    """Jain's index over the parties' mean latency for each output token; None without any.

    1 if all parties are served alike, 1/n if one of n has all of the delay. Arguments as for
    :func:`normalised`.
    """
    return jain(normalised(latency, tokens, parties)) if len(parties) else None
