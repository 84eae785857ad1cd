"""What was decided about versions, when and why: a line of ``history.jsonl`` each."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import KW_ONLY, asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from lengthwise.online.folder import make
from lengthwise.online.messages import Role

FILE, OLDER = "history.jsonl", "history.1.jsonl"

MOST = 10 * 2**20
"""Bytes after which the file becomes the older one, and the older one is gone."""

_QUIET_S = 60.0
"""Seconds between two lines about a file that cannot be written."""

logger = logging.getLogger("lengthwise")


@dataclass(frozen=True)
class Decision:
    """A decision about a version, with the figures that it was made by; None where there is none.

    Attributes:
        event: what was decided, in a word.
        role, version: of what; None if it is about no version.
        line: as the log has it.
        requests: that the version was judged by.
        pairs_right: share of their pairs that it put into the right order.
        low, high: 95 % interval of that.
        instead: the same share of what acted meanwhile.
        mae: mean absolute error in tokens.
        mean_ratio, p99_ratio: mean and 99th percentile of simulated response times, over those
            without the version.
        load: share of the engine's capacity that arrived.
        seconds: that the version took to be made.
        time: when, in UTC; the history sets it.
    """

    event: str
    role: Role | None
    version: int | None
    line: str
    _: KW_ONLY
    requests: int | None = None
    pairs_right: float | None = None
    low: float | None = None
    high: float | None = None
    instead: float | None = None
    mae: float | None = None
    mean_ratio: float | None = None
    p99_ratio: float | None = None
    load: float | None = None
    seconds: float | None = None
    time: datetime | None = None


class History:
    """Adds decisions to the file in a folder; where that fails, the decision stands all the same.

    Args:
        folder: made with the first decision.
        clock: Unix seconds.
        tell: gets a line, at most once a minute, while decisions cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        clock: Callable[[], float] = time.time,
        tell: Callable[[str], object] = logger.warning,
    ) -> None:
        self._folder, self._clock, self._tell = folder, clock, tell
        self._told = -math.inf

    def add(self, decision: Decision) -> None:
        """Write one more, with the time."""
        now = self._clock()
        try:
            self._append(replace(decision, time=datetime.fromtimestamp(now, UTC)))
        except OSError as error:
            # A clock that was set back must not silence this for longer.
            if not 0 <= now - self._told < _QUIET_S:
                self._told = now
                reason = error.strerror or error
                self._tell(f"{self._folder / FILE} cannot be written ({reason})")

    def _append(self, decision: Decision) -> None:
        make(self._folder)
        path = self._folder / FILE
        if path.exists() and path.stat().st_size >= MOST:
            path.replace(self._folder / OLDER)
        with path.open("ab+") as file:
            # A line that a full disk cut short must not spoil this one.
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read() != b"\n":
                    file.write(b"\n")
            file.write(_line(decision))


def read(folder: Path) -> list[Decision]:
    """The decisions of a folder, oldest first; damaged lines are skipped.

    Raises:
        OSError: if a file that is there cannot be read.
    """
    found = []
    for path in (folder / OLDER, folder / FILE):
        for line in path.read_bytes().splitlines() if path.exists() else ():
            with suppress(ValueError):
                found.append(msgspec.json.decode(line, type=Decision))
    return found


def _line(decision: Decision) -> bytes:
    """The time first, and only the figures that there are."""
    figures = {each.name for each in fields(decision) if each.kw_only}
    told = {
        name: it for name, it in asdict(decision).items() if it is not None or name not in figures
    }
    return msgspec.json.encode({"time": told.pop("time"), **told}) + b"\n"
