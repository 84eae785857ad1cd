"""vLLM's own log: the lines in which an engine sums itself up every ten seconds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from lengthwise.calibration.calibration import Calibration
from lengthwise.calibration.windows import Windows
from lengthwise.errors import UserError, reading
from lengthwise.traces.log_lines import NO_JSON
from lengthwise.traces.streams import opened, split

_LEAP = 2000
"""A year that has every day, for lines that name none."""

_HALF_A_YEAR = timedelta(days=180)

_EVERY_S = 10.0
"""Seconds between two summaries, where the lines have no times."""

_SUMMARY = re.compile(
    r"(?:Engine (?P<engine>\d+)|(?P<all>\d+) Engines Aggregated): "
    r"Avg prompt throughput: (?P<prompt>[\d.]+) tokens/s, "
    r"Avg generation throughput: (?P<generation>[\d.]+) tokens/s, "
    r"Running: (?P<running>\d+) reqs, Waiting: (?P<waiting>\d+) reqs,"
    r".*?KV cache usage: (?P<usage>[\d.]+)%"
)
_ARGUMENT = r"['\"]?{}['\"]?\s*[:=]\s*['\"]?(\d+)"
_SETTINGS = {
    "kv_tokens": re.compile(r"KV cache size: ([\d,]+) tokens"),
    "seats": re.compile(_ARGUMENT.format("max_num_seqs")),
    "budget": re.compile(_ARGUMENT.format("max_num_batched_tokens")),
    "block_size": re.compile(_ARGUMENT.format("block_size")),
}
_MODEL = re.compile(r"V1 LLM engine \(v(?P<version>[^)]*)\) with config: model='(?P<model>[^']*)'")
_STAMP = re.compile(r"(?:(\d{4})-)?(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?")


@dataclass(frozen=True, eq=False)
class EngineLog:
    """What a log of vLLM says.

    Attributes:
        name: of the file.
        windows: what each engine said of itself, one engine after the other.
        engines: how many engines it is of.
        seats, budget, kv_tokens, block_size: as the start lines have them, else None.
        model, version: the model served, and vLLM's version, if the start is in the log.
    """

    name: str
    windows: Windows
    engines: int
    seats: int | None = None
    budget: int | None = None
    kv_tokens: int | None = None
    block_size: int | None = None
    model: str | None = None
    version: str | None = None

    def calibration(self) -> Calibration:
        """How fast the engine was.

        Raises:
            UserError: if it served too little.
        """
        windows = self.windows
        found = windows.calibration(
            f"vLLM's log {self.name}", self.seats, self.budget, self.kv_tokens, self.block_size
        )
        notes = [*found.notes]
        if self.kv_tokens is None:
            notes.append("the log's start is missing: the size of the KV cache is not known")
        if self.engines > 1:
            notes.append(f"{self.engines} engines, each with such seats and memory")
        notes.append(
            f"requests waited at the end of {100 * windows.queued:.0f} % of the windows, "
            f"95 % of the KV cache or more were in use at the end of {100 * windows.kv_full:.0f} %"
        )
        return replace(found, notes=tuple(notes))


@dataclass
class _Found:
    """What the lines so far said."""

    settings: dict[str, int] = field(default_factory=dict)
    model: str | None = None
    version: str | None = None
    summaries: dict[str, list[tuple[float, re.Match[str]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    years: int = 0
    last: datetime | None = None

    def take(self, line: str) -> None:
        """One line."""
        summary = _SUMMARY.search(line)
        if summary is not None:
            engine = summary["engine"] or f"all {summary['all']}"
            seen = self.summaries[engine]
            seen.append((self._seconds(line, seen), summary))
            return
        for name, pattern in _SETTINGS.items():
            found = pattern.search(line)
            if found is not None:
                self.settings[name] = int(found[1].replace(",", ""))
        engine_line = _MODEL.search(line)
        if engine_line is not None:
            self.model, self.version = engine_line["model"], engine_line["version"]

    def _seconds(self, line: str, seen: list[tuple[float, re.Match[str]]]) -> float:
        """When the line was written; times without a year go on in the next one."""
        stamp = _STAMP.search(line)
        if stamp is None:
            return seen[-1][0] + _EVERY_S if seen else 0.0
        year, *rest = stamp.groups()
        month, day, hour, minute, second = map(int, rest[:5])
        part = timedelta(seconds=float(f"0.{rest[5] or 0}"))
        at = datetime(int(year or _LEAP), month, day, hour, minute, second) + part
        if year is None and self.last is not None and at < self.last - _HALF_A_YEAR:
            self.years += 1
        self.last = at
        return (at - datetime(_LEAP, 1, 1) + self.years * timedelta(days=366)).total_seconds()


def read_engine_log(path: Path) -> EngineLog:
    """A log that vLLM wrote, plain or as JSON lines, gzipped or not.

    Raises:
        UserError: if it cannot be read, or no engine sums itself up in it.
    """
    found = _Found()
    with reading(path):
        for line in _lines(path):
            found.take(line)
    if not found.summaries:
        raise UserError(
            f"{path}: no line in it has vLLM's throughput (Avg prompt throughput ...): give the "
            "log of a server that runs without --disable-log-stats"
        )
    # With both, the engines' own lines say more than those of all of them.
    own = {name: rows for name, rows in found.summaries.items() if name.isdecimal()}
    engines = own or found.summaries
    count = len(own) or max(int(name.split()[1]) for name in engines)
    windows = _joined([_windows(rows) for rows in engines.values()])
    return EngineLog(
        path.name, windows, count, model=found.model, version=found.version, **found.settings
    )


def _lines(path: Path) -> Iterator[str]:
    """Lines of text; of a JSON line its time and its message."""
    for line in split(opened(path)):
        if line.startswith(b"{"):
            try:
                entry = msgspec.json.decode(line, type=dict[str, object])
            except NO_JSON:
                pass
            else:
                stamp = entry.get("asctime") or entry.get("timestamp") or entry.get("time") or ""
                said = entry.get("message") or entry.get("msg") or entry.get("log")
                yield f"{stamp} {said}"
                continue
        # Replaced: what a program printed into the log need not be text.
        yield line.decode(errors="replace")


def _windows(rows: list[tuple[float, re.Match[str]]]) -> Windows:
    """Of one engine. Before the first summary and after a pause nothing is known."""

    def column(name: str) -> np.ndarray:
        return np.array([float(summary[name]) for _, summary in rows])

    time = np.array([at for at, _ in rows])
    seconds = np.diff(time, prepend=time[0] - _EVERY_S)
    running = column("running")
    starts = np.concatenate([[np.nan], running[:-1]])
    # An idle engine writes no lines: it began with none.
    paused = (seconds > 1.5 * _EVERY_S) | (seconds <= 0)
    starts[paused], seconds[paused] = np.nan, _EVERY_S
    return Windows(
        time - time[0],
        seconds,
        running,
        column("waiting"),
        column("usage") / 100.0,
        column("prompt"),
        column("generation"),
        starts,
        np.full(len(time), np.nan),
    )


def _joined(each: list[Windows]) -> Windows:
    names = [one.name for one in fields(Windows)]
    return Windows(*(np.concatenate([getattr(one, name) for one in each]) for name in names))
