"""One request's predictions, at arrival and while it ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Track:
    """One request's predictions.

    Attributes:
        arrival: total output tokens as predicted from the prompt; NaN if nothing was.
        ages: [m] tokens generated at each later prediction, increasing.
        remaining: [m] the predicted remaining tokens at those ages.
    """

    arrival: float
    ages: list[int]
    remaining: list[float]

    def record(self, id: str, **more: Any) -> dict[str, Any]:
        """A line of the file that ``recorded:FILE`` reads."""
        arrival = None if np.isnan(self.arrival) else round(self.arrival, 2)
        remaining = [round(each, 2) for each in self.remaining]
        return {"id": id, **more, "arrival": arrival, "ages": self.ages, "remaining": remaining}
