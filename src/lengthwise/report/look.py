"""The look of every chart: colours in light and dark, markers and dashes, sizes.

Charts are drawn in the light colours. In the page each of them becomes a CSS variable of the
same place in the palette (``svg.py``), so that a dark page shows the dark one. Colours are far
apart for readers with any colour vision, and each line also has its own marker and dashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SIZE = (6.4, 3.7)
"""Of a chart with one plot, in inches."""

TALL = (6.4, 6.8)
"""Of a chart with three plots one above the other, in inches."""

FONT = 10.5
"""Points; on a chart of the least width in a page, letters of 9 pixels."""


@dataclass(frozen=True)
class Colour:
    """One colour of the page in both modes, as ``#rrggbb``."""

    light: str
    dark: str


PAPER = Colour("#ffffff", "#15181d")
INK = Colour("#1a1d21", "#e8eaed")
FAINT = Colour("#5a6270", "#a4adba")
RULE = Colour("#d3d8df", "#3a414c")
PANEL = Colour("#f4f6f8", "#1e2329")
LINK = Colour("#0a58b8", "#7db7ff")

SERIES = (
    Colour("#0b62a5", "#6cb5ff"),
    Colour("#b34700", "#ff9d5c"),
    Colour("#00704c", "#45d19e"),
    Colour("#9b2f7c", "#f38fd0"),
    Colour("#755900", "#e5c24a"),
    Colour("#3b3f46", "#cfd4db"),
    Colour("#00697a", "#58d0e6"),
    Colour("#a01c2e", "#ff8b93"),
)

VARIABLES: Mapping[str, Colour] = {
    "paper": PAPER,
    "ink": INK,
    "faint": FAINT,
    "rule": RULE,
    "panel": PANEL,
    "link": LINK,
    **{f"series-{number}": colour for number, colour in enumerate(SERIES, 1)},
}
"""The page's colours by the names of their CSS variables."""

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1.2, 2)))

STYLE: Mapping[Any, Any] = {
    "font.size": FONT,
    "axes.titlesize": FONT,
    "axes.labelsize": FONT,
    "legend.fontsize": FONT - 1,
    "xtick.labelsize": FONT - 1,
    "ytick.labelsize": FONT - 1,
    "text.color": INK.light,
    "axes.labelcolor": INK.light,
    "axes.titlecolor": INK.light,
    "xtick.color": FAINT.light,
    "ytick.color": FAINT.light,
    "xtick.labelcolor": INK.light,
    "ytick.labelcolor": INK.light,
    "axes.edgecolor": FAINT.light,
    "grid.color": RULE.light,
    "figure.facecolor": PAPER.light,
    "axes.facecolor": PAPER.light,
    "savefig.facecolor": PAPER.light,
    "legend.facecolor": PAPER.light,
    "legend.edgecolor": RULE.light,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": f"cycler('color', {[each.light for each in SERIES]})",
    "svg.fonttype": "none",
}
"""matplotlib's settings while a chart is drawn and while it is written."""


def line(number: int, markers: bool = True) -> dict[str, Any]:
    """Colour, dashes and marker of the line of this number, from 0 on.

    Eight colours; from the ninth line on the same ones with other dashes.
    """
    dash = _DASHES[(number + number // len(SERIES)) % len(_DASHES)]
    marker = _MARKERS[number % len(_MARKERS)] if markers else None
    style = {"color": SERIES[number % len(SERIES)].light, "linestyle": dash, "linewidth": 1.8}
    return {**style, "marker": marker, "markersize": 5}


def legend(columns: int) -> dict[str, Any]:
    """Where a legend goes: above the plots, where it hides no line."""
    return {"loc": "outside upper left", "ncols": columns, "frameon": False}
