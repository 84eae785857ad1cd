"""From a table's columns to requests: the part that all formats share."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from lengthwise.errors import UserError
from lengthwise.traces.clock import Clock
from lengthwise.traces.fields import Fields
from lengthwise.traces.names import matching
from lengthwise.traces.prefix import Prefix
from lengthwise.traces.selection import Selection
from lengthwise.traces.table import ROW, Table
from lengthwise.traces.trace import LeftOut
from lengthwise.workload.clients import LONGEST_NAME

FAILED = "no output tokens (failed or aborted)"

_SMALL = 64
"""Tokens in the largest of the small blocks."""

Names = tuple[str, ...]


@dataclass(frozen=True)
class Columns:
    """Names of a format's columns by what they are to a request; the first that is there counts.

    Attributes:
        prompt, output: tokens.
        arrival: when it came; none where the format has no times.
        first, finish: when its first and last token came, on the clock of ``arrival``.
        ttft, latency: the same as times since the arrival.
        cached: prompt tokens that a prefix cache held.
        hashes: of the prompt's blocks.
        unit: of times in numbers; None reads it in the column's name, or from the content.
        whole: unit of whole numbers that by their size could be seconds or milliseconds.
        block: tokens in a block; None finds it out.
    """

    prompt: Names
    output: Names
    arrival: Names = ()
    first: Names = ()
    finish: Names = ()
    ttft: Names = ()
    latency: Names = ()
    cached: Names = ()
    hashes: Names = ()
    tenant: Names = ("tenant", "lengthwise_tenant", "tenant_id")
    priority: Names = ("priority",)
    id: Names = ("id", "request_id")
    unit: str | None = None
    whole: str | None = None
    block: int | None = None

    def usual(self, block: int) -> str | None:
        """The unit of whole numbers that could be either: with such blocks, or in this format.

        Traces with small blocks (Bailian's, vLLM's timed traces) have seconds, those with
        large ones (Mooncake's) milliseconds.
        """
        if self.whole is not None or not block:
            return self.whole
        return "s" if block <= _SMALL else "ms"

    def of(self, table: Table, selection: Selection) -> dict[str, str]:
        """The column of each role that the table has.

        Raises:
            UserError: if the user's ``column_map`` names a column that is not there.
        """
        found: dict[str, str] = {}
        for role in (
            "arrival",
            "prompt",
            "output",
            "first",
            "finish",
            "ttft",
            "latency",
            "cached",
            "hashes",
            "tenant",
            "priority",
            "id",
        ):
            nested = role not in ("tenant", "priority", "id")
            column = table.find(getattr(self, role), nested)
            if column is not None and column not in found.values():
                found[role] = column
        for role, name in selection.column_map.items():
            column = name if name in table.columns else matching([name], table.columns)
            if column is None:
                there = ", ".join(table.columns)
                raise UserError(f"{table.what}: no column {name!r} for {role}: it has {there}")
            found[role] = column
        return found


@dataclass(frozen=True, eq=False)
class Rows:
    """What a format found in a file, in any order.

    Attributes:
        frame: the requests: columns ``row``, ``prompt``, ``output``, ``prefix``, ``priority``,
            and perhaps ``arrival``, ``first``, ``finish`` (seconds), ``tenant``, ``id``.
        rows: rows of the file.
        left_out: those that are no requests.
        found: what was worked out, a sentence each.
        epoch: seconds since 1970 at time 0 of the frame; None if the file does not say.
    """

    frame: pl.DataFrame
    rows: int
    left_out: tuple[LeftOut, ...] = ()
    found: tuple[str, ...] = ()
    epoch: float | None = None

    def also(self, rows: int, *left_out: LeftOut) -> Rows:
        """With rows of the file that were left out before."""
        some = tuple(each for each in left_out if each.rows)
        return replace(self, rows=self.rows + rows, left_out=some + self.left_out)

    def saying(self, *found: str) -> Rows:
        """With more that was worked out."""
        return replace(self, found=(*self.found, *found))


def read_columns(table: Table, columns: Columns, selection: Selection) -> Rows:
    """The requests of a table.

    Rows without output tokens are left out.

    Raises:
        UserError: for the first row that is no request; or if a column is missing.
    """
    fields, roles = Fields(table), columns.of(table, selection)
    for role in ("prompt", "output"):
        if role not in roles:
            raise table.bad(0, f"no {getattr(columns, role)[0]}")
    prompt, output = fields.tokens(roles["prompt"]), fields.tokens(roles["output"])
    told = Prefix.of(fields, roles, prompt, selection.block or columns.block)
    clock = Clock.of(fields, roles, selection.time_unit or columns.unit, columns.usual(told.block))
    priority = fields.whole(roles["priority"]) if "priority" in roles else np.zeros(len(table))
    done = output != 0
    fields.fault(done & (output < 0), None, "an output has at least 1 token")
    fields.fault(done & (prompt < 1), None, "a prompt has at least 1 token")
    fields.check()
    prefix = told.at(clock.arrival)
    odd = done & ((prefix < 0) | (prefix > prompt))
    fields.fault(odd, None, "cached prefix is not within the prompt")
    fields.check()
    counts = {"prompt": prompt, "output": output, "prefix": prefix, "priority": priority}
    whole = {name: pl.Series(each, dtype=pl.Int64) for name, each in counts.items()}
    parts = {"row": table.frame[ROW], **whole, **clock.parts(), **_names(fields, roles)}
    frame = pl.DataFrame(parts).filter(pl.Series(done))
    left = (LeftOut(len(table) - len(frame), FAILED), LeftOut(table.blank, "nothing in them"))
    rows = Rows(frame, len(table) + table.blank, (), (*clock.found, *told.found), clock.epoch)
    return rows.also(0, *left)


def _names(fields: Fields, roles: dict[str, str]) -> dict[str, pl.Series]:
    """The tenants, and the ids if they are texts: numbers mostly count rows."""
    frame, found = fields.table.frame, {}
    if "tenant" in roles:
        texts = pl.Series(fields.texts(roles["tenant"]), dtype=pl.String)
        found["tenant"] = texts.str.slice(0, LONGEST_NAME)
    if "id" in roles and frame[roles["id"]].dtype == pl.String:
        found["id"] = pl.Series(fields.texts(roles["id"]), dtype=pl.String)
    return found
