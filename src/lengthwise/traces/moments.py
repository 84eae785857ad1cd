"""Times of requests: dates, and numbers whose unit is told by name or by content."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from lengthwise.core.arrays import Floats
from lengthwise.traces.names import per_second

_DATE = (
    r"^(\d{4})[-/](\d{2})[-/](\d{2})(?:[T ]|, )(\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9})\d*)?)?"
    r"\s*(?:(Z|z|UTC|GMT)|([+-]\d{2}):?(\d{2})?)?$"
)
"""Year to seconds, a fraction, and a zone: none is UTC."""

_EPOCH = (("s", 1e8), ("ms", 1e11), ("us", 1e14), ("ns", 1e17))
"""Times since 1970 are at least so much (1973) in each unit."""

_NEAR, _FAR = 10.0, 1000.0
"""Whole numbers that are less than this apart in the mean are seconds, as milliseconds would be
more than 100 requests a second; those further apart are milliseconds, as seconds would be less
than a request in a quarter of an hour. Between the two, other things decide."""

_MIDDLE, _DAY = 100.0, 86_400.0
"""Between the two, and with nothing else to go by: milliseconds from this mean gap, or span, on."""

_GRID = 100.0
"""Whole numbers that are all multiples of at least this are milliseconds on a grid."""


def epoch_of(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Whole seconds since 1970 and fractions of a second of dates with or without zones, each [n].

    Null where a text is none: ``2024-05-12 00:00:00.5+00:00``, ``2026-01-05T10:00:00Z``.
    """
    parts = texts.str.strip_chars().str.extract_groups(_DATE).struct.unnest()
    year, month, day, hour, minute, second, fraction, _, zone, zone_minutes = parts.get_columns()
    written = pl.format("{}-{}-{} {}:{}:{}", year, month, day, hour, minute, second.fill_null("00"))
    moment = pl.select(
        written.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="ms")
    ).to_series()
    ahead = zone.cast(pl.Int64, strict=False).fill_null(0) * 3600
    sign = pl.select(pl.when(zone.str.starts_with("-")).then(-1).otherwise(1)).to_series()
    ahead += sign * zone_minutes.cast(pl.Int64, strict=False).fill_null(0) * 60
    return moment.dt.epoch("s") - ahead, ("0." + fraction.fill_null("0")).cast(pl.Float64)


@dataclass(frozen=True)
class Unit:
    """The unit of a column of numbers.

    Attributes:
        name: ``s``, ``ms``, ``us`` or ``ns``.
        why: what it was worked out from; empty if it was given.
    """

    name: str
    why: str = ""

    @property
    def per_second(self) -> float:
        """How many are a second."""
        return per_second(self.name)


def unit_of(times: Floats, usual: str | None = None) -> Unit:
    """The unit of times without a name for it, [n] and finite, from what they are.

    Times since 1970 have a size of their own. Fractions mean seconds. Whole numbers are
    milliseconds if they lie on a coarse grid, or else far apart.

    Args:
        usual: the unit of files of this kind, which decides between seconds and milliseconds
            where the numbers could be either.
    """
    if not len(times):
        return Unit("s")
    least = float(times.min())
    for name, bound in reversed(_EPOCH):
        # Seconds since a start of its own reach 1e8 only after three years.
        if least >= bound:
            return Unit(name, "times since 1970")
    if (times != np.floor(times)).any():
        return Unit("s", "they have fractions")
    span = float(times.max()) - least
    if span == 0:
        return Unit("s", "all are one moment")
    grid = 1.0 if span >= 2.0**62 else float(np.gcd.reduce((times - least).astype(np.int64)))
    if usual != "s" and len(times) > 2 and grid >= _GRID:
        return Unit("ms", f"whole numbers on a grid of {grid:g}")
    gap = span / max(len(times) - 1, 1)
    near = f"{gap:.3g}" if gap < 100 else f"{gap:,.0f}"
    why = f"whole numbers, {near} apart in the mean"
    if not _NEAR <= gap < _FAR:
        return Unit("s" if gap < _NEAR else "ms", why)
    if usual is not None:
        return Unit(usual, f"{why}, as files of this kind have")
    return Unit("ms" if gap >= _MIDDLE or span >= _DAY else "s", why)
