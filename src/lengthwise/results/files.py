"""The files of a study: results.json, and every request of a run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from lengthwise import __version__
from lengthwise.errors import UserError, reading
from lengthwise.results.origin import Made, made
from lengthwise.results.record import Count, Part, Run
from lengthwise.results.schema import VERSION
from lengthwise.results.setups import STUDIES, Served, Simulated
from lengthwise.results.timings import Times
from lengthwise.workload.workload import Workload

Setup = Served | Simulated

LONGEST = 1e15
"""Seconds beyond which a time in a file is damage."""

MOST_TOKENS = 10**12
"""Tokens beyond which a length in a file is damage."""

AGAIN = "run lengthwise bench or simulate again"
"""What to do about a file of results that is damaged."""


@dataclass(frozen=True)
class Results:
    """A results.json that was read; ``setup`` also has the engine's own settings.

    Attributes:
        lengthwise: the version that wrote it.
        origin: what made it; None in files of versions that did not say.
    """

    study: str
    setup: dict[str, Any]
    runs: list[Run]
    lengthwise: str = ""
    origin: Made | None = None


def write_results(out: Path, setup: Setup, runs: Sequence[Run], *engine: Part) -> None:
    """results.json: the setup, and every run so far.

    Args:
        out: the folder; made if it is not there.
        setup: which study it is, and how it was set up.
        engine: dataclasses whose fields stand beside the setup's: the simulated engine's.
    """
    out.mkdir(parents=True, exist_ok=True)
    content = content_of(setup, runs, *engine) | {"origin": plain(made())}
    (out / "results.json").write_text(as_json(content) + "\n")


def content_of(setup: Setup, runs: Sequence[Run], *engine: Part) -> dict[str, Any]:
    """What :func:`write_results` writes, but for what made it."""
    study = next(name for name, kind in STUDIES.items() if type(setup) is kind)
    described: dict[str, Any] = plain(setup)
    for part in engine:
        # What both have, like the service classes, is the study's.
        described |= {name: it for name, it in plain(part).items() if name not in described}
    return {
        "schema_version": VERSION,
        "lengthwise": __version__,
        "study": study,
        "setup": described,
        "runs": [plain(run) for run in runs],
    }


def read_results(folder: Path) -> Results:
    """The results.json of a folder.

    Raises:
        UserError: if there is none, or it is damaged or of another version.
    """
    path = folder / "results.json"
    if not path.is_file():
        raise UserError(f"no results.json in {folder}: give a folder that lengthwise wrote")
    with reading(path, AGAIN):
        content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        version = content.get("schema_version")
        if version != VERSION:
            raise ValueError(f"its schema version is {version}, not {VERSION}")
        return Results(
            content["study"],
            dict(content["setup"]),
            msgspec.convert(content["runs"], list[Run]),
            str(content.get("lengthwise", "")),
            msgspec.convert(content.get("origin"), Made | None),
        )


def plain(it: object) -> Any:
    """As JSON has it: dictionaries, lists, numbers and texts; what is unset is left out."""
    return msgspec.to_builtins(it, enc_hook=str)


def as_json(it: object) -> str:
    """JSON text with a field on each line; what is no finite number is null."""
    return msgspec.json.format(msgspec.json.encode(it, enc_hook=str), indent=1).decode()


@dataclass(frozen=True, kw_only=True)
class RequestRow:
    """One request of a run: a line of ``requests-N.jsonl``. Times are seconds of the run.

    Attributes:
        longest_gap: longest time between two tokens.
        sent, replica, error: what a route's client noted.
        slices, predicted: batches it took part in, and its predicted tokens.
        service: name of its service class, where there were classes.
    """

    id: str
    arrival: float
    first: float | None
    finish: float | None
    longest_gap: float
    tokens: int
    prompt_tokens: int
    tenant: str | None = None
    priority: int = 0
    sent: float | UnsetType = UNSET
    replica: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    slices: Count = UNSET
    predicted: float | UnsetType | None = UNSET
    service: str | UnsetType = UNSET


def rows_of(
    workload: Workload,
    times: Times,
    predicted: Sequence[float] | None = None,
    service: Sequence[str] = (),
) -> Iterator[RequestRow]:
    """The requests of a workload and what a run made of them, in the workload's order.

    Args:
        times: of the same requests.
        predicted: n output tokens predicted at arrival, NaN for unknown; None without
            predictions.
        service: n names of service classes, or none at all.
    """
    for i in range(len(workload)):
        begun = math.isfinite(times.first[i])
        yield RequestRow(
            id=workload.id[i] if workload.id else str(i),
            arrival=float(times.arrival[i]),
            first=_known(times.first[i]),
            finish=_known(times.finish[i]),
            longest_gap=float(times.gap[i]),
            tokens=int(times.tokens[i]) if begun else 0,
            prompt_tokens=int(workload.prompt[i]),
            tenant=workload.tenant[i] if workload.tenant else None,
            priority=int(workload.priority[i]),
            predicted=UNSET if predicted is None else _known(predicted[i]),
            service=service[i] if service else UNSET,
        )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def write_requests(out: Path, number: int, rows: Iterable[RequestRow]) -> None:
    """Every request of a run, a line each: what ``lengthwise simulate replay`` reads."""
    path = out / f"requests-{number}.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


def read_requests(folder: Path, number: int) -> list[RequestRow]:
    """What :func:`write_requests` wrote.

    Raises:
        UserError: if the file is missing or damaged, or has times or tokens that none can have.
    """
    path = folder / f"requests-{number}.jsonl"
    with reading(path, AGAIN):
        lines = path.read_bytes().splitlines()
        rows = [msgspec.json.decode(line, type=RequestRow) for line in lines]
        for place, row in enumerate(rows, 1):
            _check(place, row)
        return rows


def _check(place: int, row: RequestRow) -> None:
    """Refuse what no request has, so that sums and differences of it stay numbers."""
    times = (row.arrival, row.first or 0.0, row.finish or 0.0, row.longest_gap)
    if not all(abs(seconds) <= LONGEST for seconds in times):
        raise ValueError(f"line {place}: a time is beyond {LONGEST:g} s")
    if not all(0 <= tokens <= MOST_TOKENS for tokens in (row.tokens, row.prompt_tokens)):
        raise ValueError(f"line {place}: tokens are from 0 to {MOST_TOKENS:,}")
