"""What a user says about a file: which of it to take, and how to read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from lengthwise.core.checks import at_least
from lengthwise.errors import UserError
from lengthwise.traces.names import UNITS

ROLES = (
    *("arrival", "prompt", "output", "tenant", "priority", "id", "first", "ttft", "latency"),
    *("finish", "cached", "hashes"),
)
"""What a column can be to a request."""


@dataclass(frozen=True)
class Selection:
    """How to read a file, and how much of it.

    Attributes:
        format: its name; None tells it by the content.
        start, end: the window, from ``start`` on and before ``end``: seconds since the first
            request, or a date and time (``2026-01-05T10:00:00+01:00``; without a zone, UTC).
        requests: the first so many in the window, at their own times; None takes all.
        column_map: the column that is each role, for logs that nobody foresaw.
        time_unit: of times in numbers: ``s``, ``ms``, ``us`` or ``ns``; None finds it out.
        block: tokens in a block with a hash; None finds it out.
        everything: keep what a data set's benchmarks usually leave out.
        tokenizer: of a model, a folder or a name in the Hugging Face cache, that counts the
            tokens of files of texts.

    Raises:
        UserError: for a unit, a number or a role that there is not.
    """

    format: str | None = None
    start: str | float | None = None
    end: str | float | None = None
    requests: int | None = None
    column_map: dict[str, str] = field(default_factory=dict)
    time_unit: str | None = None
    block: int | None = None
    everything: bool = False
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        at_least(1, requests=self.requests, block=self.block)
        if self.time_unit is not None and self.time_unit not in UNITS:
            raise UserError(f"--time-unit is one of {', '.join(UNITS)}, not {self.time_unit!r}")
        odd = next((role for role in self.column_map if role not in ROLES), None)
        if odd is not None:
            raise UserError(f"--column-map: no {odd!r}: choose from {', '.join(ROLES)}")


def column_map(text: str | None) -> dict[str, str]:
    """``arrival=ts,prompt=n_in,output=n_out`` as a mapping from roles to columns.

    Raises:
        UserError: if it is written otherwise.
    """
    pairs = [pair.partition("=") for pair in text.split(",")] if text else []
    odd = next((role for role, _, column in pairs if not column.strip()), None)
    if odd is not None:
        raise UserError(f"--column-map takes arrival=ts,prompt=n_in,output=n_out, not {text!r}")
    return {role.strip(): column.strip() for role, _, column in pairs}
