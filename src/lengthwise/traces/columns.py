"""From a table's columns to requests: the part that all formats share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from lengthwise.core.arrays import Floats, Ints
from lengthwise.errors import UserError
from lengthwise.traces.blocks import block_hashes, block_of, seen_before
from lengthwise.traces.clock import Clock
from lengthwise.traces.fields import Fields
from lengthwise.traces.names import matching
from lengthwise.traces.selection import Selection
from lengthwise.traces.table import ROW, Table
from lengthwise.traces.trace import LeftOut
from lengthwise.workload.clients import LONGEST_NAME

FAILED = "no output tokens (failed or aborted)"

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
    block: int | None = None

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


@dataclass
class _Reading:
    fields: Fields
    roles: dict[str, str]
    selection: Selection
    columns: Columns
    found: list[str] = field(default_factory=list)


def read_columns(table: Table, columns: Columns, selection: Selection) -> Rows:
    """The requests of a table.

    Rows without output tokens are left out.

    Raises:
        UserError: for the first row that is no request; or if a column is missing.
    """
    given = _Reading(Fields(table), columns.of(table, selection), selection, columns)
    fields, roles = given.fields, given.roles
    for role in ("prompt", "output"):
        if role not in roles:
            raise table.bad(0, f"no {getattr(columns, role)[0]}")
    prompt, output = fields.tokens(roles["prompt"]), fields.tokens(roles["output"])
    clock = Clock.of(fields, roles, selection.time_unit or columns.unit)
    priority = _priority(given, len(table))
    done = output != 0
    fields.fault(done & (output < 0), None, "an output has at least 1 token")
    fields.fault(done & (prompt < 1), None, "a prompt has at least 1 token")
    fields.check()
    prefix = _prefix(given, prompt, clock.arrival)
    fields.fault(
        done & ((prefix < 0) | (prefix > prompt)), None, "cached prefix is not within the prompt"
    )
    fields.check()
    parts: dict[str, Any] = {
        "row": table.frame[ROW],
        "prompt": prompt,
        "output": output,
        "prefix": prefix,
    }
    parts |= {"prefix": prefix, "priority": priority} | clock.parts() | _names(given)
    frame = pl.DataFrame(parts).filter(pl.Series(done))
    left = (LeftOut(len(table) - len(frame), FAILED), LeftOut(table.blank, "nothing in them"))
    found = (*clock.found, *given.found)
    rows = Rows(frame, len(table) + table.blank, (), found, clock.epoch)
    return rows.also(0, *left)


def _priority(given: _Reading, n: int) -> Ints:
    column = given.roles.get("priority")
    return np.zeros(n, np.int64) if column is None else given.fields.whole(column)


def _names(given: _Reading) -> dict[str, pl.Series]:
    """The tenants, and the ids if they are texts: numbers mostly count rows."""
    frame, found = given.fields.table.frame, {}
    if "tenant" in given.roles:
        texts = pl.Series(given.fields.texts(given.roles["tenant"]), dtype=pl.String)
        found["tenant"] = texts.str.slice(0, LONGEST_NAME)
    if "id" in given.roles and frame[given.roles["id"]].dtype == pl.String:
        found["id"] = pl.Series(given.fields.texts(given.roles["id"]), dtype=pl.String)
    return found


def _stated(given: _Reading) -> int | None:
    """The block size that every row of the file names, if they do."""
    column = given.fields.table.find(["block_size"])
    sizes = [] if column is None else given.fields.table.frame[column].unique().to_list()
    if len(sizes) != 1 or not str(sizes[0]).isdecimal() or int(sizes[0]) < 1:
        return None
    given.found.append(f"blocks of {sizes[0]} tokens: {column} says so")
    return int(sizes[0])


def _prefix(given: _Reading, prompt: Ints, arrival: Floats | None) -> Ints:
    """Cached prompt tokens: stated, or whole blocks that an earlier prompt began with."""
    fields, column = given.fields, given.roles.get("hashes")
    if column is None:
        cached = given.roles.get("cached")
        none = np.zeros(len(prompt), np.int64)
        return none if cached is None else fields.whole(cached)
    hashes, odd = block_hashes(fields.table.frame[column])
    fields.fault(odd, column, f"{column} is not a list of numbers")
    fields.check()
    block = given.selection.block or given.columns.block or _stated(given)
    if block is None:
        told = block_of(prompt, hashes.list.len().to_numpy().astype(np.int64))
        block = told.tokens
        given.found.append(
            f"blocks of {block} tokens: {told.why}"
            if block
            else f"{told.why}: no prompt is taken as cached; --block N says the tokens of a block"
        )
    if arrival is None or bool((arrival[1:] >= arrival[:-1]).all()):
        return np.minimum(block * seen_before(hashes), prompt)
    order = np.argsort(arrival, kind="stable")
    prefix = np.zeros(len(prompt), np.int64)
    prefix[order] = np.minimum(block * seen_before(hashes[order]), prompt[order])
    return prefix
