"""The shape of a format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from lengthwise.traces.columns import Columns, Rows, read_columns
from lengthwise.traces.content import File
from lengthwise.traces.selection import Selection
from lengthwise.traces.table import Table
from lengthwise.traces.trace import LeftOut


class Format(Protocol):
    """A kind of file.

    Attributes:
        name: what it is chosen by, in ``NAME:path`` and ``--format``.
        expects: what such a file has, for the message where a file is none.
    """

    @property
    def name(self) -> str: ...

    @property
    def expects(self) -> str: ...

    def fits(self, file: File) -> bool:
        """Whether the content is of this format; looks at no more than it must."""

    def read(self, file: File, selection: Selection) -> Rows:
        """The requests of a file that fits.

        Raises:
            UserError: names the first row that is none.
        """


Drop = tuple[str, Callable[[Table], pl.Series]]
"""Why rows are left out before they are read, and which: [n] booleans."""


@dataclass(frozen=True)
class TableFormat:
    """A format of rows with columns.

    Attributes:
        needs: columns that a file must have, by any spelling.
        columns: what they are to a request.
        failed: rows that are left out always.
        unusual: rows that are left out unless everything is asked for.
    """

    name: str
    needs: tuple[str, ...]
    columns: Columns
    failed: Drop | None = None
    unusual: Drop | None = None

    @property
    def expects(self) -> str:
        """The columns."""
        return ", ".join(self.needs)

    def fits(self, file: File) -> bool:
        """Whether the columns are there."""
        return all(file.table.find([name]) is not None for name in self.needs)

    def read(self, file: File, selection: Selection) -> Rows:
        """The requests in the rows that are not left out."""
        return self.rows(file.table, selection)

    def rows(self, table: Table, selection: Selection) -> Rows:
        """The same for a table of any origin."""
        left = []
        for drop in (self.failed, None if selection.everything else self.unusual):
            if drop is not None:
                why, which = drop
                dropped = which(table).fill_null(False)
                left.append(LeftOut(int(dropped.sum()), why))
                table = table.where(~dropped)
        found = read_columns(table, self.columns, selection)
        return found.also(sum(each.rows for each in left), *left)
