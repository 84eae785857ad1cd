"""What ``lengthwise record`` writes: a request a line, numbers and names, never a text."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from lengthwise.core.checks import file_for
from lengthwise.errors import UserError, reading
from lengthwise.traces.trace import LeftOut, Observed, Trace
from lengthwise.workload.workload import Workload

# vLLM makes them itself: an endpoint's prefix, random digits, the number of a prompt or answer.
_OWN_ID = re.compile(r"[a-z]{0,16}[-_]?[0-9a-f]{8}[0-9a-f-]{0,56}([-_][0-9]{1,6})*")

MOST_TOKENS = 10**9
"""More tokens than this are a mistake, not a request."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """One request, and one line of the file.

    Attributes:
        arrival_s: when it came, in seconds since 1970 (UTC).
        prompt_tokens, output_tokens: at least 1 each.
        first_s, finish_s: when its first and its last token came, on the same clock.
        queue_s: seconds until vLLM first scheduled it.
        id: vLLM's own id, or a hash of an id that the client chose.
        tenant: the name that the client sent as ``lengthwise_tenant``.
        priority: the client's class, the lower first.
        max_tokens: the most that it could have generated.
        finish_reason: one of ``REASONS``.
    """

    arrival_s: float
    prompt_tokens: int
    output_tokens: int
    first_s: float | None = None
    finish_s: float | None = None
    queue_s: float | None = None
    id: str | None = None
    tenant: str | None = None
    priority: int = 0
    max_tokens: int | None = None
    finish_reason: str | None = None


REASONS = ("stop", "length", "tool_calls", "abort", "error", "repetition")
"""Why an answer ended, in vLLM's words; any other word is not written down."""


def safe_id(id: str) -> str:
    """The id if vLLM made it; a client may put any text into its own, so that one is hashed."""
    if _OWN_ID.fullmatch(id):
        return id
    return "client-" + hashlib.blake2s(id.encode(errors="replace"), digest_size=8).hexdigest()


class Found:
    """What a reader has met beside requests: rows that are none, and what it worked out."""

    def __init__(self) -> None:
        self._left: Counter[str] = Counter()
        self._notes: dict[str, None] = {}

    def leave_out(self, reason: str, rows: int = 1) -> None:
        """Count rows that are no requests."""
        if rows:
            self._left[reason] += rows

    def note(self, sentence: str) -> None:
        """Keep a sentence on the file; the same one once."""
        self._notes[sentence] = None

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The rows left out, by reason, the most frequent first."""
        return tuple(LeftOut(rows, reason) for reason, rows in self._left.most_common())

    @property
    def notes(self) -> tuple[str, ...]:
        """The sentences, in the order in which they were found."""
        return tuple(self._notes)


def trace_of(rows: Sequence[Recorded], found: Found, format: str, source: Path) -> Trace:
    """The recorded requests as a trace; its times count from the first arrival.

    Raises:
        UserError: if there is no request; says what was left out.
    """
    if not rows:
        raise UserError(f"{source}: {no_requests(found)}")
    rows = sorted(rows, key=lambda row: row.arrival_s)
    start = rows[0].arrival_s
    tenants = tuple(row.tenant for row in rows)
    workload = Workload(
        np.array([row.arrival_s - start for row in rows]),
        np.array([row.prompt_tokens for row in rows], np.int64),
        np.array([row.output_tokens for row in rows], np.int64),
        name=source.name.split(".")[0],
        dropped=sum(each.rows for each in found.left_out),
        id=tuple(row.id or "" for row in rows) if all(row.id for row in rows) else (),
        tenant=tenants if any(tenants) else (),
        priority=np.array([row.priority for row in rows], np.int64),
    )
    first, finish = (
        np.array([math.nan if time is None else time - start for time in times])
        for times in ([row.first_s for row in rows], [row.finish_s for row in rows])
    )
    known = not (np.isnan(first).all() and np.isnan(finish).all())
    return Trace(
        workload,
        format,
        len(rows) + workload.dropped,
        found.left_out,
        found.notes,
        observed=Observed(first, finish) if known else None,
    )


def no_requests(found: Found) -> str:
    """Why a source gave no request at all, with the way out that its reader noted."""
    return "no requests in it: " + ("; ".join((*map(str, found.left_out), *found.notes)) or "empty")


class Output:
    """The file that is written, readable by its owner alone; rows are appended as they come.

    It is made when its block begins, so that a source that cannot be read leaves none.

    Args:
        append: go on in a file that is there; else it must not be there.

    Raises:
        UserError: if the file is there, or cannot be written.
    """

    def __init__(self, path: Path, append: bool) -> None:
        check_output(path, append)
        self._path, self._append = path, append
        self.rows = 0

    def __enter__(self) -> Output:
        how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if self._append else os.O_EXCL)
        with reading(f"--out {self._path}", "choose another file"):
            self._file = os.open(self._path, how, 0o600)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def write(self, rows: Sequence[Recorded]) -> None:
        """Append the rows, whole; they are in the file when this returns.

        Raises:
            UserError: if they cannot be written.
        """
        left = memoryview(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as error:
            raise UserError(
                f"{self._path} cannot be written ({error.strerror}): its first {self.rows} new "
                "rows are whole"
            ) from None
        self.rows += len(rows)


def check_output(path: Path, append: bool) -> None:
    """Refuse a file that is there already, unless it is to be gone on with; makes nothing.

    Raises:
        UserError: says what is in the way.
    """
    file_for(path)
    if not path.exists():
        return
    if not append:
        raise UserError(f"--out {path} is there already: give another file, or --append")
    if not path.is_file():  # a device
        return
    with reading(path), path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        if file.read(1) not in (b"", b"\n"):
            raise UserError(f"--out {path}: its last line is cut off: end it or take it out first")
