"""What a report is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

Cell = str | float | int | None
"""A cell of a table; None is shown as a dash."""


@dataclass(frozen=True)
class Text:
    """A paragraph of plain text; ``strong`` makes it stand out, as a verdict does."""

    text: str
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table, read out by screen readers and saved as NAME.csv.

    Attributes:
        name: of its file, in lower case with hyphens.
        title: the caption.
        heads: of the columns; units in brackets.
        rows: cells; texts are aligned to the left, numbers to the right.
        note: how to read it, below it.
        folded: whether it is closed until it is clicked on (open when printed).
    """

    name: str
    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    folded: bool = False


@dataclass(frozen=True, eq=False)
class Chart:
    """A plot, drawn as SVG into the page and saved as NAME.png.

    Attributes:
        name: of its file, in lower case with hyphens.
        figure: drawn by matplotlib, with the colours of ``report/look.py``.
        title: the caption.
        description: what can be seen in it, in words, for who cannot see it.
        table: its numbers, folded below it.
    """

    name: str
    figure: Figure
    title: str
    description: str
    table: Table | None = None


Part = Text | Table | Chart


@dataclass(frozen=True)
class Section:
    """A headed part of a page."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Origin:
    """What it takes to make the report's figures again.

    Attributes:
        command: the command line, exactly.
        versions: name and version: lengthwise, Python, NumPy, vLLM where it ran.
        seeds: of everything random.
        machine: processor, cores, memory, accelerator.
        notes: a sentence each: what the data was, which rows were left out and why.
    """

    command: str
    versions: Sequence[tuple[str, str]]
    seeds: str
    machine: str
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Page:
    """A report: its verdict first, then sections, then where the figures come from."""

    title: str
    summary: Sequence[Part]
    sections: Sequence[Section]
    origin: Origin
