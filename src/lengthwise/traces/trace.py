"""A file of requests, read: the requests, and what is known about the file."""

from __future__ import annotations

from dataclasses import dataclass

from lengthwise.workload.workload import Seconds, Workload


@dataclass(frozen=True)
class LeftOut:
    """Rows of a file that are not among its requests.

    Attributes:
        rows: how many.
        reason: why, as part of a sentence: ``no output tokens (failed or aborted)``.
    """

    rows: int
    reason: str

    def __str__(self) -> str:
        return f"{self.rows} row{'s' * (self.rows != 1)} left out: {self.reason}"


@dataclass(frozen=True, eq=False)
class Observed:
    """When the server that the file comes from answered, where the file tells.

    Attributes:
        first, finish: [n] seconds of the first and the last token, on the clock of the
            workload's ``arrival``; NaN where it is not known.
    """

    first: Seconds
    finish: Seconds


@dataclass(frozen=True, eq=False)
class Trace:
    """What a file holds.

    Attributes:
        workload: the requests in order of arrival.
        format: the name of the format that the content was recognised as.
        rows: rows of the file; each is a request or counted in ``left_out``.
        left_out: rows that are no requests, by reason.
        found: what was worked out from the content, a sentence each: the unit of the times,
            the size of a block, that rows were sorted.
        timed: whether the file says when requests came.
        observed: when they were answered, if the file tells.
    """

    workload: Workload
    format: str
    rows: int
    left_out: tuple[LeftOut, ...] = ()
    found: tuple[str, ...] = ()
    timed: bool = True
    observed: Observed | None = None
