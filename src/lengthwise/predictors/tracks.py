"""One request's predictions, at arrival and while it ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lengthwise.core.bins import Bins, Floats
from lengthwise.core.lengths import Lengths


@dataclass(frozen=True)
class Shapes:
    """The distributions behind a track's numbers, all over the same k bins.

    Attributes:
        bins: of tokens.
        most: output tokens at which the request ends in any case, infinite if at none.
        arrival: [k] probabilities of total tokens; meaningless if nothing was predicted.
        remaining: [m, k] probabilities of remaining tokens.
    """

    bins: Bins
    most: float
    arrival: Floats
    remaining: Floats

    @classmethod
    def of(cls, first: Lengths, remaining: Lengths) -> Shapes:
        """Of one distribution of total and m of remaining tokens, over the same bins."""
        bins = Bins(np.append(first.lower[0], first.upper[0, -1:]), first.values[0])
        return cls(bins, float(first.limit[0]), first.probabilities[0], remaining.probabilities)

    def record(self) -> dict[str, Any]:
        """For JSON; probabilities to four digits."""
        return {
            "edges": [round(float(each), 3) for each in self.bins.edges],
            "values": [round(float(each), 3) for each in self.bins.values],
            "most": self.most if np.isfinite(self.most) else None,
            "arrival": self.arrival.astype(np.float64).round(4).tolist(),
            "remaining": self.remaining.astype(np.float64).round(4).tolist(),
        }

    @classmethod
    def read(cls, given: Any, predictions: int) -> Shapes:
        """From what :meth:`record` wrote, for a track of so many later predictions.

        Raises:
            KeyError, TypeError, ValueError: if it is something else.
        """
        bins = Bins(Bins.of(given["edges"]).edges, np.array(given["values"], dtype=np.float32))
        k, most = len(bins.edges) - 1, given["most"]
        if bins.values.shape != (k,) or not (np.diff(bins.values) >= 0).all():
            raise ValueError(f"{k} bins need as many values that do not fall")
        return cls(
            bins,
            np.inf if most is None else float(most),
            _shares(given["arrival"], (k,)),
            _shares(given["remaining"], (predictions, k)),
        )


def _shares(given: Any, shape: tuple[int, ...]) -> Floats:
    found = np.array(given, dtype=np.float32).reshape(shape if 0 in shape else np.shape(given))
    if found.shape != shape:
        raise ValueError(f"probabilities must be {' x '.join(map(str, shape))} numbers")
    total = found.sum(axis=-1, keepdims=True)
    if not np.isfinite(found).all() or (found < 0).any() or not (total > 0).all():
        raise ValueError("probabilities must not be negative, nor all 0")
    shares: Floats = found / total
    return shares


@dataclass(frozen=True)
class Track:
    """One request's predictions.

    Attributes:
        arrival: total output tokens as predicted from the prompt; NaN if nothing was.
        ages: [m] tokens generated at each later prediction, increasing.
        remaining: [m] the remaining tokens predicted then.
        shapes: the distributions of which these are the means; None if they are points.
    """

    arrival: float
    ages: list[int]
    remaining: list[float]
    shapes: Shapes | None = None

    def record(self, id: str, **more: Any) -> dict[str, Any]:
        """A line of the file that ``recorded:FILE`` reads."""
        arrival = None if np.isnan(self.arrival) else round(self.arrival, 2)
        remaining = [round(each, 2) for each in self.remaining]
        shapes = {} if self.shapes is None else {"distributions": self.shapes.record()}
        points = {"arrival": arrival, "ages": self.ages, "remaining": remaining}
        return {"id": id, **more, **points, **shapes}
