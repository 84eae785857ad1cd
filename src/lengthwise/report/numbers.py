"""Numbers as people read them: three digits that count, thousands set apart, never NaN."""

from __future__ import annotations

import math

DASH = "\N{EN DASH}"
"""Stands for what is not known."""


def plain(value: float | int | None) -> str:
    """A number without its unit: ``0.0123``, ``4.56``, ``12,300``; a dash for none or NaN."""
    if value is None or math.isnan(value):
        return DASH
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if size >= 1e15 or 0.0 < size < 1e-4:
        return f"{value:.2e}"
    if size >= 99.95 or value == 0.0:
        return f"{value:,.0f}"
    rounded = float(f"{value:.3g}")
    digits = max(2 - math.floor(math.log10(abs(rounded))), 0)
    text = f"{rounded:.{digits}f}"
    # A whole number of a tick or a setting is no measurement: 10, not 10.0.
    return f"{value:,.0f}" if float(value).is_integer() else text


def seconds(value: float) -> str:
    """A time with the unit that suits it: ``85 ms``, ``4.2 s``, ``12 min``."""
    if math.isnan(value):
        return "an unknown time"
    if value < 1.0:
        return f"{plain(float(f'{1000 * value:.3g}'))} ms"
    return f"{plain(value)} s" if value < 600 else f"{plain(value / 60)} min"


def percent(share: float) -> str:
    """A change with its sign: ``+12 %``, ``-3.1 %``."""
    if math.isnan(share):
        return DASH
    if math.isinf(share):
        return f"{'+' if share > 0 else ''}{plain(share)} %"
    digits = 0 if abs(share) >= 0.1 else 1
    # Adding 0 makes a rounded -0.0 positive.
    return f"{round(100 * share, digits) + 0.0:+.{digits}f} %"
