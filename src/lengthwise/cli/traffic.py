"""Flags that say what traffic a command is about: a file and how to read it, or laws."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from lengthwise.cli import flags
from lengthwise.core import checks
from lengthwise.errors import UserError

if TYPE_CHECKING:
    from lengthwise.traces import Trace
    from lengthwise.workload import Workload

_MADE_UP = 10_000
"""How many requests are made up, unless the user says."""


@dataclass(frozen=True)
class Traffic:
    """A file of requests and how to read it, or laws of made-up ones.

    Attributes:
        start, end: the window: seconds since the first request, or a date and time.
    """

    workload: str | None
    synthetic: str | None
    requests: int | None
    start: str | None
    end: str | None
    format: str | None
    column_map: str | None
    time_unit: str | None
    block: int | None
    tokenizer: str | None

    def read(self, own_times: bool = True) -> Trace:
        """A file's requests, or made-up ones: so many as asked for, or 10,000.

        What was worked out from the file, and what was left out of it, is printed.

        Args:
            own_times: take the first ``--requests``, at the file's own times; otherwise all,
                to resample from (:meth:`resampled`).

        Raises:
            UserError: for no workload, two, or a bad one.
        """
        from lengthwise.results.terminal import say
        from lengthwise.traces import Trace

        checks.at_least(1, requests=self.requests)
        if self.synthetic is None and self.workload is not None:
            trace = self._file(self.workload, self.requests if own_times else None)
            for line in (*trace.found, *trace.left_out):
                # Standard output may be for JSON alone.
                say(f"{trace.workload.name}: {line}", sys.stderr)
            return trace
        if self.synthetic is None or self.workload is not None:
            raise UserError("give a workload file, or --synthetic PROMPT,OUTPUT")
        made = _made_up(self.synthetic, self.requests or _MADE_UP)
        return Trace(made, "synthetic", len(made), timed=False)

    def resampled(self, own_times: bool) -> int | None:
        """How many requests to resample; None serves what was read as it is.

        Made-up requests are as many as asked for already.
        """
        return None if own_times or self.synthetic is not None else self.requests

    def _file(self, workload: str, requests: int | None) -> Trace:
        from lengthwise.traces import Selection, read_trace
        from lengthwise.traces.selection import column_map

        selection = Selection(
            self.format,
            self.start,
            self.end,
            requests,
            column_map(self.column_map),
            self.time_unit,
            self.block,
            tokenizer=self.tokenizer,
        )
        return read_trace(workload, selection)


def _made_up(laws: str, requests: int) -> Workload:
    from lengthwise.workload import applications, synthetic

    if laws == "applications":
        return applications(requests, 0)
    prompt, comma, output = laws.partition(",")
    if not comma:
        raise UserError("--synthetic takes two laws: constant:50,exp:200; or applications")
    return synthetic(requests, prompt, output, 0)


def _window(flag: str, name: str, text: str) -> flags.Flag:
    return click.option(flag, name, metavar="WHEN", help=text)


traffic = flags.bundle(
    Traffic,
    click.argument("workload", required=False),
    flags.text(
        "--synthetic",
        None,
        "LAWS",
        "Instead of a file: laws of lengths, constant:50,exp:200; or applications.",
    ),
    flags.requests(
        "The first N requests, at their own times; with --rates or --loads, N resampled "
        "(default: all)."
    ),
    _window("--from", "start", "Requests from then on: seconds since the first, or a date."),
    _window("--to", "end", "Requests before then: seconds since the first, or a date."),
    flags.text("--format", None, "NAME", "The file's format (default: told by its content)."),
    flags.text(
        "--column-map",
        None,
        "ROLE=COLUMN,...",
        "Columns of other names: arrival=ts,prompt=n_in,output=n_out; also tenant, priority, "
        "id, first, finish, ttft, latency, cached, hashes.",
    ),
    flags.text("--time-unit", None, "UNIT", "Of times in numbers: s, ms, us, ns (default: found)."),
    flags.whole("--block", None, "Prompt tokens to a hash in the file (default: found)."),
    flags.text("--tokenizer", None, "MODEL", "Counts the tokens of a file of texts."),
)
