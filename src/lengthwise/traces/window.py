"""Which of a file's requests are wanted: in order of arrival, of a window, the first so many."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from lengthwise.errors import UserError
from lengthwise.traces.columns import Rows
from lengthwise.traces.moments import epoch_of
from lengthwise.traces.selection import Selection
from lengthwise.traces.trace import LeftOut


def taken(rows: Rows, selection: Selection, what: str) -> Rows:
    """The wanted requests, sorted by arrival, the first at 0.

    Raises:
        UserError: if the window is none that the file's times have, or nothing lies in it.
    """
    timed = "arrival" in rows.frame.columns
    if not timed and (selection.start is not None or selection.end is not None):
        raise UserError(f"{what} has no times: --from and --to need them")
    if timed and len(rows.frame):
        rows = _window(_sorted(rows), selection, what)
    if selection.requests is not None:
        rows = _head(rows, selection.requests)
    return _from_zero(rows) if timed else rows


def _sorted(rows: Rows) -> Rows:
    """In order of arrival, and from the first request on."""
    if not rows.frame["arrival"].is_sorted():
        frame = rows.frame.sort("arrival", maintain_order=True)
        said = "the rows were not in order of arrival: sorted"
        rows = replace(rows, frame=frame, found=(*rows.found, said))
    return _from_zero(rows)


def _from_zero(rows: Rows) -> Rows:
    if not len(rows.frame):
        return rows
    start = rows.frame["arrival"][0]
    times = [name for name in ("arrival", "first", "finish") if name in rows.frame.columns]
    epoch = None if rows.epoch is None else rows.epoch + start
    return replace(rows, frame=rows.frame.with_columns(pl.col(times) - start), epoch=epoch)


def _window(rows: Rows, selection: Selection, what: str) -> Rows:
    arrival = rows.frame["arrival"]
    if selection.start is not None:
        early = arrival < _seconds(selection.start, "--from", rows.epoch, what)
        rows = _without(rows, early, "before --from")
    if selection.end is not None:
        late = rows.frame["arrival"] >= _seconds(selection.end, "--to", rows.epoch, what)
        rows = _without(rows, late, "from --to on")
    if not len(rows.frame):
        raise UserError(
            f"{what}: no requests between --from and --to: its times go from 0 to {arrival[-1]:g} s"
        )
    return rows


def _without(rows: Rows, out: pl.Series, why: str) -> Rows:
    left = LeftOut(int(out.sum()), why)
    return replace(rows, frame=rows.frame.filter(~out), left_out=(*rows.left_out, left))


def _head(rows: Rows, requests: int) -> Rows:
    n = len(rows.frame)
    if n < requests:
        said = f"{n} requests are all that there are: fewer than --requests {requests}"
        return replace(rows, found=(*rows.found, said))
    left = LeftOut(n - requests, f"after the first {requests} (--requests)")
    return replace(rows, frame=rows.frame.head(requests), left_out=(*rows.left_out, left))


def _seconds(moment: str | float, flag: str, epoch: float | None, what: str) -> float:
    """A moment of the window in seconds since the file's first request."""
    try:
        return float(moment)
    except ValueError:
        pass
    seconds, fraction = epoch_of(pl.Series([str(moment)]))
    if seconds[0] is None:
        raise UserError(
            f"{flag} takes seconds since the first request, or a date and time like "
            f"2026-01-05T10:00:00Z, not {moment!r}"
        )
    if epoch is None:
        raise UserError(
            f"{flag} {moment}: {what} has no dates: give seconds since its first request"
        )
    return float(seconds[0] - epoch + fraction[0])
