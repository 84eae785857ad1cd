"""When requests came and were answered, as seconds of one clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.traces.fields import Fields
from lengthwise.traces.moments import Unit, unit_of
from lengthwise.traces.names import per_second, unit_in

_SINCE_1970 = 1e8
"""Seconds: numbers above are times since 1970, not since a start of their own."""

_LONG, _VERY_LONG = 50.0, 1000.0
"""Durations that name no unit are milliseconds from this median on: whole numbers, and any."""


@dataclass(frozen=True, eq=False)
class Clock:
    """Times of n requests, in seconds since the first arrival.

    Attributes:
        arrival, first, finish: [n]; None where the file does not tell; NaN in a gap.
        found: how units were worked out.
        epoch: seconds since 1970 at time 0; None if the file does not say.
    """

    arrival: Floats | None = None
    first: Floats | None = None
    finish: Floats | None = None
    found: tuple[str, ...] = ()
    epoch: float | None = None

    @classmethod
    def of(
        cls, fields: Fields, roles: dict[str, str], unit: str | None, usual: str | None = None
    ) -> Clock:
        """The times in a table.

        Args:
            roles: the columns by what they are.
            unit: of times in numbers; None finds it out.
            usual: of files of this kind, where the numbers could be either.
        """
        if "arrival" not in roles or not len(fields.table):
            return cls()
        scale = _Scale(fields, roles["arrival"], unit, usual)
        known = unit == "s"
        first = scale.since(roles.get("first"))
        finish = scale.since(roles.get("finish"))
        for role in ("ttft", "latency"):
            if role in roles:
                lasted, said = _duration(fields, roles[role])
                scale.found.extend([] if known else said)
                later = scale.arrival + lasted
                first = later if role == "ttft" and first is None else first
                finish = later if role == "latency" and finish is None else finish
        first, finish = (_after(times, scale.arrival, scale.found) for times in (first, finish))
        return cls(scale.arrival, first, finish, tuple(scale.found), scale.epoch)

    def parts(self) -> dict[str, Floats]:
        """The columns that there are."""
        given = {"arrival": self.arrival, "first": self.first, "finish": self.finish}
        return {name: times for name, times in given.items() if times is not None}


class _Scale:
    """Where a file's clock starts, and what its unit is."""

    def __init__(self, fields: Fields, column: str, unit: str | None, usual: str | None) -> None:
        self._fields, self.found = fields, list[str]()
        self.epoch: float | None = None
        self._start = 0.0
        dates = fields.moments(column)
        self._unit: Unit | None = None
        if dates is not None:
            seconds, fraction = dates
            given = seconds[seconds != 0]
            self._start = float(given.min()) if len(given) else 0.0
            self.arrival = (seconds - int(self._start)) + fraction
            self.epoch = self._start
            return
        numbers = fields.numbers(column)
        finite = numbers[np.isfinite(numbers)]
        fields.fault(numbers < 0, column, f"{column} is negative")
        self._unit = self._told(column, finite, unit, usual)
        self._start = float(finite.min()) if len(finite) else 0.0
        self.arrival = (numbers - self._start) / self._unit.per_second
        start = self._start / self._unit.per_second
        self.epoch = start if start >= _SINCE_1970 else None

    def _told(self, column: str, finite: Floats, unit: str | None, usual: str | None) -> Unit:
        if unit is not None:
            return Unit(unit)
        named = unit_in(column)
        if named is not None:
            return next(Unit(name) for name in ("s", "ms", "us", "ns") if per_second(name) == named)
        told = unit_of(finite, usual)
        self.found.append(f"{column} in {told.name}: {told.why}")
        return told

    def since(self, column: str | None) -> Floats | None:
        """Another column of moments on this clock; gaps are NaN."""
        if column is None:
            return None
        quiet = Fields(self._fields.table)
        dates = quiet.moments(column)
        if dates is not None:
            seconds, fraction = dates
            times = (seconds - int(self._start)) + fraction
            return np.where(seconds != 0, times, np.nan)
        numbers = self._fields.numbers(column, required=False)
        named = unit_in(column)
        scale = named or (self._unit.per_second if self._unit is not None else 1.0)
        start = self._start if self._unit is None else self._start / self._unit.per_second
        return numbers / scale - start


def _duration(fields: Fields, column: str) -> tuple[Floats, list[str]]:
    """Seconds that something lasted, [n], and how the unit was found."""
    lasted = fields.numbers(column, required=False)
    named = unit_in(column)
    if named is not None:
        return lasted / named, []
    finite = lasted[np.isfinite(lasted)]
    whole = bool((finite == np.floor(finite)).all())
    if len(finite) and float(np.median(finite)) >= (_LONG if whole else _VERY_LONG):
        return lasted / 1e3, [f"{column} in ms: {np.median(finite):g} in the median"]
    return lasted, [f"{column} in s"] if len(finite) else []


def _after(times: Floats | None, arrival: Floats, found: list[str]) -> Floats | None:
    """Times of answers, unless most of them lie before the requests came."""
    if times is None:
        return None
    lasted = times - arrival
    lasted = lasted[np.isfinite(lasted)]
    if not len(lasted):
        return None
    if float(np.median(lasted)) >= 0:
        return times
    found.append("times of answers lie before those of the requests: not read")
    return None
