"""The advice on the terminal."""

from __future__ import annotations

from lengthwise.advise import tables, target_tables
from lengthwise.advise.advice import MEAN, P99, TTFT, Advice
from lengthwise.advise.source import Source
from lengthwise.advise.verdict import Verdict, share
from lengthwise.report.numbers import plain
from lengthwise.report.parts import Cell, Table
from lengthwise.results.tables import print_table
from lengthwise.results.terminal import say

_WIDTH = 120


def show(advice: Advice, source: Source, said: Verdict) -> None:
    """The notes, the tables, and the verdict last, where the eye is."""
    for note in source.notes:
        say(f"{source.name}: {note}")
    say(speed_of(source))
    for seen in source.observed:
        say(seen)
    if advice.classes is not None:
        _print(target_tables.attainment(advice))
        _print(target_tables.class_capacities(advice))
    _print(tables.present(advice))
    _print(tables.by_load(advice, MEAN))
    _print(tables.by_load(advice, TTFT))
    _print(tables.by_load(advice, P99))
    if advice.capacities:
        _print(tables.capacities(advice))
    say("")
    say(said.headline)
    for reason in said.reasons:
        say(f"- {reason}")
    if said.switch:
        say(f"The flag: {said.flag}")


def speed_of(source: Source) -> str:
    """Where the seconds of a step come from, and how far off they are."""
    speed = source.calibration
    error = f", off by {share(speed.error)} of {speed.error_of}" if speed.error is not None else ""
    return (
        f"The seconds of a step come from {speed.source}{error}; the engine may need "
        f"{speed.fastest:.3g} to {speed.slowest:.3g} times as many."
    )


def _print(table: Table) -> None:
    rows = [[_cell(cell) for cell in row] for row in table.rows]
    print_table(table.title, table.heads, rows, ("load", "policy"), _WIDTH)


def _cell(cell: Cell) -> str:
    return cell if isinstance(cell, str) else plain(cell)
