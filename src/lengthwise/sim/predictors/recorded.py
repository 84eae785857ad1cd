"""Predictions that a real predictor made for these very requests, played back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from lengthwise.core.arrays import Floats, Ints, Rng, floored
from lengthwise.errors import UserError
from lengthwise.predictors.tracks import Track
from lengthwise.sim.predictors.base import Source
from lengthwise.workload.records import Record, records
from lengthwise.workload.workload import Workload

_LATEST = 1 << 32


@dataclass
class Recorded:
    """Plays tracks back by the requests' ids; between predictions they count down."""

    tracks: dict[str, Track]
    source: Source = "probe"
    refines: bool = True

    @classmethod
    def load(cls, path: Path) -> Recorded:
        """Read JSON lines with ``id``, ``arrival``, ``ages`` and ``remaining``.

        Raises:
            UserError: if the file or a line is bad; names the line.
        """
        tracks: dict[str, Track] = {}
        for line, record in records(path, "recorded predictions"):
            try:
                id = record["id"]
                tracks[id] = _track(record)
            except (KeyError, TypeError, ValueError) as error:
                what = f"no {error}" if isinstance(error, KeyError) else error
                raise UserError(f"recorded predictions {path}, line {line}: {what}") from None
        return cls(tracks)

    def at_arrival(self, workload: Workload, rng: Rng) -> Floats:
        """What was predicted from the prompts, [n]; NaN where nothing was."""
        return np.array([track.arrival for track in self._of(workload)])

    def start(self, workload: Workload, rng: Rng) -> Playback:
        """The tracks of one run."""
        return Playback(self._of(workload))

    def _of(self, workload: Workload) -> list[Track]:
        if not workload.id:
            raise UserError(f"{workload.name} has no ids: recorded predictions go by the id")
        missing = next((id for id in workload.id if id not in self.tracks), None)
        if missing is not None:
            raise UserError(f"no recorded predictions for request {missing!r}")
        return [self.tracks[id] for id in workload.id]


class Playback:
    """The recorded predictions of n requests in one run."""

    def __init__(self, tracks: list[Track]) -> None:
        self._keys = np.array(
            [number * _LATEST + age for number, track in enumerate(tracks) for age in track.ages],
            dtype=np.int64,
        )
        self._said = np.array([each for track in tracks for each in track.remaining])

    def remaining(self, index: Ints, true: Floats, age: Ints, rng: Rng) -> Floats:
        """The latest prediction of each request, less the tokens since; NaN before the first."""
        if not len(self._keys):
            return np.full(len(index), np.nan)
        at = np.searchsorted(self._keys, index * _LATEST + age, side="right") - 1
        latest = self._keys[at]
        found = floored(self._said[at] - (age - latest % _LATEST))
        return np.where((at >= 0) & (latest // _LATEST == index), found, np.nan)


def _track(record: Record) -> Track:
    ages, remaining = record["ages"], record["remaining"]
    if len(ages) != len(remaining) or any(a >= b for a, b in pairwise(ages)):
        raise ValueError("ages must increase, and each have its remaining tokens")
    if not all(isinstance(age, int) and 0 <= age < _LATEST for age in ages):
        raise ValueError("ages are whole numbers from 0")
    said = np.array([*remaining, 1.0], dtype=np.float64)
    if not (np.isfinite(said) & (said >= 0)).all():
        raise ValueError("remaining tokens must be finite and not negative")
    arrival = record["arrival"]
    return Track(np.nan if arrival is None else float(arrival), ages, said[:-1].tolist())
