"""``lengthwise doctor``: what is wrong before a server starts, and what mends it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from lengthwise.cli import flags
from lengthwise.cli.front import Front, front
from lengthwise.cli.groups import examples
from lengthwise.cli.service import classes
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
@flags.text("--policy", "lengthwise", "NAME", "As for lengthwise serve.")
@flags.predictor()
@flags.whole("--slice", None, "As for lengthwise serve.")
@flags.text("--scoring", "auto", "WHERE", "As for lengthwise serve.")
@flags.learn
@classes
@front
@flags.telling
@click.option("--url", metavar="ADDRESS", help="Also ask a server that runs.")
@flags.as_json
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="[MODEL] [VLLM FLAGS]...")
def doctor(
    policy: str,
    predictor: str | None,
    slice: int | None,
    scoring: str,
    learn: flags.Learn,
    classes: str | None,
    front: Front,
    telling: flags.Telling,
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
    from lengthwise.policies import with_targets
    from lengthwise.vllm.flags import Flags
    from lengthwise.vllm.settings import Settings

    policy = policy if classes is None else with_targets(policy)
    settings = Settings(
        policy=policy if slice is None else f"{policy}+slice:{slice}",
        probe=predictor,
        scoring=scoring,
        **learn.settings(),
        **front.settings(),
        **telling.settings(),
    )
    model, given = _split(rest)
    address = None if url is None else checked(url)
    asked = Asked(model, settings, Flags(front.added(tuple(given))), classes, address)
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
