"""Figures in files, all of one look."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lengthwise.core.text import visible


def labelled(x: str, y: str, size: tuple[float, float]) -> tuple[Figure, Axes]:
    """A figure of one plot, its axes labelled; size in inches."""
    # A Figure without pyplot draws with Agg: no display, no state shared between figures.
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes


def literal(name: object) -> str:
    """A name from outside as a title, tick or label that matplotlib draws as it is.

    Unescaped, dollar signs begin formulas, and a legend leaves out names that begin with an
    underscore: the space before it keeps them.
    """
    shown = visible(name).replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def save(figure: Figure, path: Path, legend: Axes | None = None) -> Path:
    """Write the figure, with a legend of these axes; returns the path."""
    if legend is not None:
        legend.legend(fontsize="small")
    figure.savefig(path, dpi=150)
    return path
