"""Predictions that a real predictor made for these very requests, played back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from lengthwise.core.arrays import Floats, Ints, Rng, floored
from lengthwise.core.lengths import Lengths
from lengthwise.errors import UserError
from lengthwise.predictors.tracks import Shapes, Track
from lengthwise.sim.predictors.base import Source
from lengthwise.traces.content import File
from lengthwise.traces.records import Record, place, records
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
        """Read JSON lines with ``id``, ``arrival``, ``ages``, ``remaining``.

        Where all of them have ``distributions`` over the same bins, too, policies see those.

        Raises:
            UserError: if the file or a line is bad; names the line.
        """
        tracks: dict[str, Track] = {}
        file = File.open(path, "recorded predictions")
        for number, record in records(file):
            try:
                id = record["id"]
                tracks[id] = _track(record)
            except (KeyError, TypeError, ValueError) as error:
                what = f"no {error}" if isinstance(error, KeyError) else error
                raise UserError(
                    f"recorded predictions {path}, {place(file, number)}: {what}"
                ) from None
        bins = [track.shapes and track.shapes.bins.edges.tolist() for track in tracks.values()]
        if any(each != bins[0] for each in bins):
            raise UserError(
                f"recorded predictions {path}: give all of them distributions over the same bins, "
                "or leave out distributions"
            )
        return cls(tracks)

    def at_arrival(self, workload: Workload, rng: Rng) -> Floats:
        """What was predicted from the prompts, [n]; NaN where nothing was."""
        return np.array([track.arrival for track in self._of(workload)])

    def lengths(self, workload: Workload, predicted: Floats) -> Lengths | None:
        """The distributions of what was predicted from the prompts, if the file has them."""
        shapes = _shapes(self._of(workload))
        if not shapes:
            return None
        limit = np.array([each.most for each in shapes])
        return Lengths.of(shapes[0].bins, np.stack([each.arrival for each in shapes]), limit)

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
        self._shapes = _shapes(tracks)
        if self._shapes:
            self._most = np.array([each.most for each in self._shapes])
            self._shares = np.concatenate([each.remaining for each in self._shapes])

    def remaining(self, index: Ints, true: Floats, age: Ints, rng: Rng) -> Floats:
        """The latest prediction of each request, less the tokens since; NaN before the first."""
        if not len(self._keys):
            return np.full(len(index), np.nan)
        at, latest = self._latest(index, age)
        found = floored(self._said[at] - (age - latest % _LATEST))
        return np.where((at >= 0) & (latest // _LATEST == index), found, np.nan)

    def lengths(self, index: Ints, age: Ints) -> Lengths | None:
        """The distributions of which those are, if the file has them."""
        if not self._shapes or not len(self._keys):
            return None
        at, latest = self._latest(index, age)
        # Before a request's first prediction this is another's; ``remaining`` says NaN.
        since = np.maximum(age - latest % _LATEST, 0)
        limit = np.maximum(self._most[index] - (age - since), 1.0)
        found = Lengths.of(self._shapes[0].bins, self._shares[at], limit)
        return found.after(since) if since.any() else found

    def _latest(self, index: Ints, age: Ints) -> tuple[Ints, Ints]:
        """Row and key of the latest prediction of any request up to these."""
        at = np.searchsorted(self._keys, index * _LATEST + age, side="right") - 1
        return at, self._keys[at]


def _shapes(tracks: list[Track]) -> list[Shapes]:
    """The distributions of all of them, or none."""
    return [track.shapes for track in tracks if track.shapes is not None]


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
    given = record.get("distributions")
    shapes = None if given is None else Shapes.read(given, len(ages))
    return Track(np.nan if arrival is None else float(arrival), ages, said[:-1].tolist(), shapes)
