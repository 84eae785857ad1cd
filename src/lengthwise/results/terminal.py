"""What the commands print for people.

This is the one module that uses Rich. Names of policies, tenants, models and folders come
from users, clients and files: they are printed as they are, never read as Rich's markup
(``[red]``) or emoji codes (``:100:``), and their control characters are written out, so
that no name can steer the terminal or forge a line.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable
from typing import TextIO

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from lengthwise.core.text import visible


def say(line: object, file: TextIO | None = None) -> None:
    """Print one line, on standard output unless another file is given."""
    print(visible(line), file=file)


def complain(line: object) -> None:
    """Print what is wrong: one line on standard error, under this program's name."""
    say(f"lengthwise: {line}", sys.stderr)


def rule(title: str) -> None:
    """Print a headed line across the terminal."""
    _console(None).rule(_literal(title))


class Table:
    """A table whose cells are plain text.

    Args:
        heads: of the columns.
        left: the heads whose columns are aligned to the left; the others are figures.
        width: of the whole table in characters; None takes the terminal's.
    """

    def __init__(
        self,
        title: str,
        heads: Iterable[str],
        left: Collection[str] = (),
        caption: str | None = None,
        width: int | None = None,
    ) -> None:
        below = None if caption is None else _literal(caption)
        self._table = RichTable(title=_literal(title), caption=below)
        self._width = width
        for head in heads:
            self._table.add_column(
                _literal(head), justify="left" if head in left else "right", overflow="fold"
            )

    def add_row(self, *cells: str) -> None:
        """A line of the table, a cell for each column."""
        self._table.add_row(*map(_literal, cells))

    def add_section(self) -> None:
        """A rule below the rows so far."""
        self._table.add_section()

    def __len__(self) -> int:
        return self._table.row_count

    def print(self) -> None:
        """Print it on standard output."""
        _console(self._width).print(self._table)


def _console(width: int | None) -> Console:
    return Console(width=width, markup=False, emoji=False, highlight=False)


def _literal(text: object) -> Text:
    """Rich takes a plain string for markup; it leaves a Text as it is."""
    return Text(visible(text))
