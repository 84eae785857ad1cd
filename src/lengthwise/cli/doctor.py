"""``lengthwise doctor``: what is wrong before a server starts, and what mends it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from lengthwise.cli import flags
from lengthwise.cli.groups import examples
from lengthwise.cli.serving import Serving, serving
from lengthwise.results.terminal import say

if TYPE_CHECKING:
    from lengthwise.doctor.asked import Asked
    from lengthwise.doctor.check import Finding

MARKS = {"ok": "\N{CHECK MARK}", "warning": "!", "problem": "\N{BALLOT X}"}
PLAIN = {"ok": "+", "warning": "!", "problem": "x"}


@click.command(
    short_help="What is wrong here, and the command that mends it.",
    context_settings={"ignore_unknown_options": True},
    epilog=examples(
        "lengthwise doctor",
        "lengthwise doctor MODEL --policy trail --predictor FOLDER --port 8000",
        "lengthwise doctor --url http://127.0.0.1:8000",
    ),
)
@serving
@click.option("--url", metavar="ADDRESS", help="Also ask a server that runs.")
@flags.as_json
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="[MODEL] [VLLM FLAGS]...")
def doctor(
    serving: Serving,
    url: str | None,
    as_json: bool,
    rest: tuple[str, ...],
) -> int:
    """Look at this machine, and at a server that is to be started with these flags.

    Nothing is changed. Put doctor in the place of serve in the command line that you mean to run.
    The status is 0 if nothing is wrong, 1 if something is, 2 if the flags cannot be read; warnings
    alone are 0.
    """
    from lengthwise.doctor.asked import Asked
    from lengthwise.doctor.checks.server import checked
    from lengthwise.vllm.flags import Flags

    model, given = _split(rest)
    address = None if url is None else checked(url)
    # The file of classes is a check of its own: what is wrong with it is a finding.
    settings, given = serving.settings(None), serving.front.added(tuple(given))
    asked = Asked(model, settings, Flags(given), serving.classes, address)
    return _tell(asked, as_json)


def _split(rest: tuple[str, ...]) -> tuple[str | None, list[str]]:
    """The model, if the first word is no flag, and vLLM's flags."""
    if rest and not rest[0].startswith("-"):
        return rest[0], list(rest[1:])
    return None, list(rest)


def _tell(asked: Asked, as_json: bool) -> int:
    from dataclasses import asdict

    from lengthwise.doctor.examine import examine

    found = []
    for each in examine(asked):
        found.append(each)
        if not as_json:
            _print(each)
    wrong = any(each.level == "problem" for each in found)
    if as_json:
        click.echo(json.dumps({"fine": not wrong, "findings": [asdict(each) for each in found]}))
    return int(wrong)


def _print(finding: Finding) -> None:
    """A line, and below it what mends it; at once, for some checks take seconds."""
    mend = f" => {finding.mend}" if finding.mend else ""
    say(f"{_marks()[finding.level]} {finding.check}: {finding.says}{mend}")
    sys.stdout.flush()


def _marks() -> dict[str, str]:
    """Marks that standard output can show."""
    try:
        "".join(MARKS.values()).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN
    return MARKS
