"""Decisions as lines of JSON in a file that is rotated; a thread of its own does the writing."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import msgspec

from lengthwise.core.text import visible
from lengthwise.live.decision import Decision

logger = logging.getLogger("vllm.lengthwise")

KEPT = 4
"""Rotated files that are kept beside the one that is written: ``FILE.1`` is the latest."""

_MOST = 50_000
"""Decisions that may wait for the disk; further ones are dropped, and counted."""

_EVERY_S = 0.25
"""Seconds between two looks of the writing thread: it must not take turns with the engine's."""

_TOGETHER = 64
"""Lines that are written at once; a file may exceed its size by so many at most."""

_PATIENCE_S = 2.0
"""Seconds that the end of the engine waits for a disk."""

_LONGEST = 256
"""Characters of a name that a client chose."""


class Dropped(msgspec.Struct, frozen=True, tag_field="kind", tag="dropped"):
    """The line that stands for decisions that did not get into the file.

    Attributes:
        at: seconds since 1970.
        count: decisions.
    """

    at: float
    count: int


def rank_file(path: str | Path, rank: int) -> Path:
    """The file of one of several engines of data parallelism; the first has the path itself."""
    path = Path(path)
    return path.with_name(f"{path.stem}.rank-{rank}{path.suffix}") if rank else path


def shown(decision: Decision) -> Decision:
    """The decision with the names that clients chose in visible characters, and cut short."""
    names = decision.request, decision.tenant, decision.service
    fit = tuple(visible(name[:_LONGEST]) for name in names)
    if fit == names:
        return decision
    request, tenant, service = fit
    return msgspec.structs.replace(decision, request=request, tenant=tenant, service=service)


def line_of(decision: Decision) -> str:
    """The decision as one line of JSON, its keys the fields of :class:`Decision`."""
    return msgspec.json.encode(shown(decision)).decode()


class DecisionLog:
    """Takes decisions at once, and writes them soon after.

    Args:
        path: the file; made for its owner's eyes, continued if it is there.
        mib: MiB after which it is rotated.

    Raises:
        OSError: if the file cannot be opened.
    """

    def __init__(self, path: str | Path, mib: float) -> None:
        self._file = _File(path, mib)
        self._waiting: deque[Decision] = deque()
        # The engine's thread counts what found no room, the writing one the rest.
        self._crowded = self._lost = self._told = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lengthwise-log", daemon=True)
        self._thread.start()

    def add(self, decision: Decision) -> None:
        """A decision to be written; it is dropped if too many wait for the disk."""
        if len(self._waiting) < _MOST:
            self._waiting.append(decision)
        else:
            self._crowded += 1

    def close(self) -> None:
        """Write what waits, and close the file; a disk that hangs is given up."""
        self._ends.set()
        self._thread.join(_PATIENCE_S)

    def _run(self) -> None:
        while not self._ends.wait(_EVERY_S):
            self._write()
        self._write()
        self._file.close()

    def _write(self) -> None:
        """Write what waits now; what comes meanwhile is for the next time."""
        for _ in range(0, len(self._waiting), _TOGETHER):
            together = min(_TOGETHER, len(self._waiting))
            lines = [line_of(self._waiting.popleft()) for _ in range(together)]
            if not self._file.put("\n".join(lines)):
                self._lost += together
        dropped = self._crowded + self._lost
        if dropped > self._told:
            line = msgspec.json.encode(Dropped(time.time(), dropped - self._told))
            if self._file.put(line.decode()):
                self._told = dropped


class _File(RotatingFileHandler):
    """The file itself; what the disk refuses is told once, until it takes lines again."""

    def __init__(self, path: str | Path, mib: float) -> None:
        self._failed, self._why = False, ""
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        super().__init__(path, maxBytes=max(1, int(mib * 2**20)), backupCount=KEPT)

    def put(self, lines: str) -> bool:
        """Whether the lines were written."""
        before, self._failed = self._failed, False
        # After a failure half a line may stand at the end.
        self.emit(logging.makeLogRecord({"msg": "\n" + lines if before else lines}))
        if before and not self._failed:
            logger.warning("the decision log %s is written again", self.baseFilename)
        if self._failed and not before:
            logger.warning(
                "the decision log %s cannot be written (%s): decisions are dropped until it can",
                self.baseFilename,
                self._why,
            )
        return not self._failed

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Close the file, with what is left in its buffer: the next lines open it anew."""
        error = sys.exc_info()[1]
        self._failed, self._why = True, getattr(error, "strerror", None) or str(error)
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError, ValueError):
                stream.close()

    def _open(self) -> Any:
        def private(path: str, flags: int) -> int:
            return os.open(path, flags, 0o600)

        return open(self.baseFilename, self.mode, encoding="utf-8", opener=private)
