"""Where the advice's data comes from: the requests, the engine's speed, what was observed."""

from __future__ import annotations

from dataclasses import dataclass

from lengthwise.calibration import Calibration
from lengthwise.workload.workload import Workload


@dataclass(frozen=True, eq=False)
class Source:
    """An operator's data.

    Attributes:
        name: of the file or the server.
        whole: every request of it; what is simulated may be a part.
        calibration: the engine's speed and size.
        observed: what the data itself says of waiting and of full seats, a sentence each.
        rows: of the file; ``left_out`` are those that are no requests, by reason.
        found: what was worked out from the file.
        notes: all of this in sentences, and what was assumed.
    """

    name: str
    whole: Workload
    calibration: Calibration
    rows: int
    left_out: dict[str, int]
    found: tuple[str, ...]
    observed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
