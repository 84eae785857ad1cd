"""Rows of a file, and where each of them stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import polars as pl

from lengthwise.errors import UserError
from lengthwise.traces.names import matching

ROW = "#row"
"""The column that numbers the rows of the file, from 0; it stays when others are left out."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of a file with named columns; nested ones have their path as their name.

    Attributes:
        what: what the file is called in messages.
        frame: the rows; all columns of a CSV are texts. ``ROW`` numbers them.
        place: where a row stands, by its number: ``line 3``, ``record 3``.
        decimal_comma: whether numbers may have a comma before the fraction.
        blank: rows without any value, which are not in the frame.
    """

    what: str
    frame: pl.DataFrame
    place: Callable[[int], str]
    decimal_comma: bool = False
    blank: int = 0

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def columns(self) -> list[str]:
        """Their names, without ``ROW``."""
        return [name for name in self.frame.columns if name != ROW]

    def find(self, names: Iterable[str], nested: bool = True) -> str | None:
        """The column that one of the names means, the first name first; None if none does."""
        return matching(names, self.columns, nested)

    def where(self, keep: pl.Series) -> Table:
        """Only some of the rows: [n] booleans."""
        return replace(self, frame=self.frame.filter(keep))

    def bad(self, row: int, fault: str) -> UserError:
        """The error that names a row of the file."""
        return UserError(f"{self.what}, {self.place(row)}: {fault}")


def numbered(
    what: str, frame: pl.DataFrame, place: Callable[[int], str], decimal_comma: bool = False
) -> Table:
    """A table of rows as they were read."""
    return Table(what, frame.with_row_index(ROW), place, decimal_comma)


def flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Objects in columns become columns, named by their path."""
    while nested := [n for n, kind in frame.schema.items() if isinstance(kind, pl.Struct)]:
        frame = frame.unnest(nested, separator=".")
    return frame
