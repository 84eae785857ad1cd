"""``lengthwise record``: requests of a running vLLM as a trace, without their texts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lengthwise.cli import values
from lengthwise.cli.groups import examples
from lengthwise.core.checks import at_least, positive
from lengthwise.errors import UserError
from lengthwise.results.terminal import say

if TYPE_CHECKING:
    from lengthwise.traces.recorded import Found


@click.command(
    short_help="Make a trace of what a running vLLM serves.",
    epilog=examples(
        "lengthwise record --listen 127.0.0.1:4318 --out trace.jsonl",
        "lengthwise record vllm.log.2.gz vllm.log.1 vllm.log --out trace.jsonl",
        "lengthwise record vllm.log --follow --seconds 3600 --out trace.jsonl",
        "vllm serve MODEL ... 2>&1 | tee log | lengthwise record - --out trace.jsonl",
    ),
)
@click.argument("sources", nargs=-1, metavar="[SOURCE]...", type=values.PATH)
@click.option(
    "--out",
    type=values.PATH,
    metavar="FILE",
    required=True,
    help="The trace (JSON lines); made for its owner's eyes only, never overwritten.",
)
@click.option("--append", is_flag=True, help="Go on in a trace that is there.")
@click.option(
    "--listen",
    metavar="HOST:PORT",
    help="Take the spans that vLLM sends (OTLP over HTTP), in place of a SOURCE.",
)
@click.option("--follow", is_flag=True, help="Wait for more at the end of the SOURCE.")
@click.option("--requests", type=int, metavar="N", help="End after so many requests.")
@click.option("--seconds", type=float, metavar="S", help="End after so many seconds.")
def record(
    sources: tuple[Path, ...],
    out: Path,
    append: bool,
    listen: str | None,
    follow: bool,
    requests: int | None,
    seconds: float | None,
) -> None:
    """Write the requests that a running vLLM serves as a trace, without any text.

    SOURCE is a log of vLLM's server (--enable-log-requests --enable-log-outputs, at level DEBUG),
    OpenTelemetry spans as JSON, or - for standard input; several files are the parts of one log.
    Written are times, token counts, vLLM's request ids and the names of tenants.
    """
    from lengthwise.traces.recorded import Output
    from lengthwise.traces.recording import Until, files, standard_input
    from lengthwise.traces.recording import follow as follow_file
    from lengthwise.traces.recording import listen as take_spans

    at_least(1, requests=requests)
    positive(seconds=seconds)
    address = None if listen is None else _address(listen)
    _check(sources, listen, follow, requests is not None or seconds is not None)
    output = Output(out, append)
    piped = sources == (Path("-"),)
    if not (listen or follow or piped):
        rows, found = files(sources)
        _refuse_nothing(len(rows), found, ", ".join(map(str, sources)))
        with output:
            output.write(rows)
        return _report(output.rows, found, out)
    until = Until(requests, seconds)
    with until.signals():
        if address is not None:
            found = take_spans(address, output, until, _tell).found
        elif piped:
            found = standard_input(output, until).found
        else:
            found = follow_file(sources[0], output, until).found
    return _report(output.rows, found, out)


def _check(sources: Sequence[Path], listen: str | None, follow: bool, ends: bool) -> None:
    """Raises UserError if the flags do not go together."""
    piped = Path("-") in sources
    if bool(sources) == bool(listen):
        raise UserError("give either a SOURCE (a log, spans, or -) or --listen HOST:PORT")
    if (follow or piped) and len(sources) > 1:
        raise UserError("one source at a time can be followed: give one SOURCE")
    if follow and (piped or listen):
        raise UserError("--follow is for a file: what is sent or piped is followed anyway")
    if ends and not (follow or piped or listen):
        raise UserError("--requests and --seconds end what goes on: give --follow, --listen or -")
    for path in sources:
        if not piped and not path.is_file():
            raise UserError(f"{path}: no such file")


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (colon and host and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise UserError(f"--listen {text}: give a host and a port, as 127.0.0.1:4318")
    return host, int(port)


def _tell(line: str) -> None:
    """Say it at once, also into a pipe."""
    say(line)
    sys.stdout.flush()


def _refuse_nothing(rows: int, found: Found, what: str) -> None:
    if not rows:
        from lengthwise.traces.recorded import no_requests

        raise UserError(f"{what}: {no_requests(found)}")


def _report(rows: int, found: Found, out: Path) -> None:
    for note in found.notes:
        say(note)
    for left in found.left_out:
        say(left)
    say(f"{rows} requests recorded in {out}")
