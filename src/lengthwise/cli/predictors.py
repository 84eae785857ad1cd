"""``lengthwise predictors``: what was learned while serving, looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lengthwise.cli import changes, flags, values
from lengthwise.cli.groups import Modes, examples
from lengthwise.cli.learned import learned
from lengthwise.core.checks import at_least, file_for
from lengthwise.errors import UserError
from lengthwise.results.terminal import Table, say

if TYPE_CHECKING:
    from lengthwise.online.orders import Orders
    from lengthwise.online.version import Judged, Version
    from lengthwise.online.versions import Versions

_PICTURES = (".png", ".pdf", ".svg")


@click.group(cls=Modes, short_help="What was learned while serving: look, move, order, forget.")
def predictors() -> None:
    """What was learned while serving MODEL; without a mode, list it.

    A server that runs follows what is ordered here within seconds.
    """


@predictors.command(
    "list",
    short_help="The versions, how they do, and which of them act.",
    epilog=examples("lengthwise predictors list MODEL"),
)
@learned
def list_versions(versions: Versions) -> None:
    """List the versions that are kept of MODEL's predictors."""
    from lengthwise.online.forgetting import ranks

    found, acting, ordered = versions.all(), versions.acting(), versions.orders()
    if not found:
        say(f"nothing is learned in {versions.folder}")
    else:
        heads = ("no.", "role", "kind", "made", "learned", "pairs right", "MAE", "state")
        left = ("role", "kind", "state")
        caption = "learned: from how many requests; pairs right: with 95 % interval"
        table = Table(str(versions.folder), heads, left, caption)
        for each in found:
            table.add_row(
                *(f"{each.number}", each.role, each.kind, _time(each.made), f"{each.learned}"),
                *_judged(each.judged),
                _state(each, acting.get(each.role), ordered),
            )
        table.print()
    for role, number in ordered.pinned.items():
        say(f"{role}: version {number} is pinned" if number else f"{role}: none may act")
    for rank in ranks(versions.folder):
        say(f"another data-parallel rank: --folder {rank}")


@predictors.command(
    short_help="One version: its figures, by length of the answer.",
    epilog=examples("lengthwise predictors show MODEL 12 --out calibration.png"),
)
@learned
@click.argument("number", type=int)
@click.option("--out", type=values.PATH, metavar="FILE", help="A picture of its calibration.")
def show(versions: Versions, number: int, out: Path | None) -> None:
    """Show version NUMBER, and how it errs on requests that it had not learned from."""
    if out is not None:
        file_for(out)
        if out.suffix not in _PICTURES:
            raise UserError(f"--out {out}: give a name that ends in {', '.join(_PICTURES)}")
    version = versions.read(number)
    judged = version.judged
    if out is not None and (judged is None or not judged.tokens):
        raise UserError(f"--out {out}: version {number} has not been judged yet")
    _tell(version)
    if judged is None:
        say("it has not been judged yet")
        return
    _by_length(judged)
    if out is not None:
        from lengthwise.online.plots import draw_calibration

        say(draw_calibration(judged, out))


@predictors.command(
    short_help="What was decided, when and why.",
    epilog=examples("lengthwise predictors history MODEL --last 5"),
)
@learned
@flags.whole("--last", 20, "Only the last N decisions.")
def history(versions: Versions, last: int) -> None:
    """Print the decisions about MODEL's versions, a line each, the latest last."""
    at_least(1, last=last)
    from lengthwise.online.history import read

    found = read(versions.folder)
    for each in found[-last:]:
        say(f"{_time(each.time.timestamp()) if each.time else '?'} {each.line}")
    if not found:
        say(f"nothing was decided in {versions.folder}")


for mode in (changes.export, changes.take_in, changes.pin, changes.unpin, changes.rollback):
    predictors.add_command(mode)
predictors.add_command(changes.forget)


def _state(version: Version, acting: int | None, ordered: Orders) -> str:
    """What a version is doing, in a word or two."""
    words = [
        word
        for word, holds in (
            ("acts", version.number == acting),
            ("pinned", version.number in ordered.pinned.values()),
            ("barred", version.number in ordered.barred),
        )
        if holds
    ]
    return ", ".join(words) or ("shadow" if version.acted is None else "acted before")


def _judged(judged: Judged | None) -> tuple[str, str]:
    """Pairs right and MAE, short enough for a row."""
    if judged is None:
        return "-", "-"
    right = judged.pairs_right
    off = max(judged.high - right, right - judged.low)
    return f"{right:.3f} ±{off:.3f}", f"{judged.mae:.1f}"


def _tell(version: Version) -> None:
    """A version's figures, a line for what is alike."""
    layer = "" if version.layer is None else f" of layer {version.layer}"
    say(f"version {version.number}: {version.kind}{layer}, predicts from the {version.role}")
    say(
        f"made {_time(version.made)} from {version.learned} requests in {version.seconds:.1f} s; "
        + ("never acted" if version.acted is None else f"acted last from {_time(version.acted)}")
    )
    if (judged := version.judged) is not None:
        say(
            f"judged by {judged.requests} requests: {judged.pairs_right:.3f} "
            f"({judged.low:.3f} to {judged.high:.3f}) of their pairs in the right order, "
            f"{judged.instead:.3f} without it; mean absolute error {judged.mae:.1f} tokens"
        )


def _by_length(judged: Judged) -> None:
    from lengthwise.online.classes import classes_of

    heads = ("tokens", "requests", "mean", "mean predicted", "MAE", "bias")
    table = Table("by length of the answer", heads)
    for each in classes_of(judged):
        means = (each.tokens, each.predicted, each.mae)
        table.add_row(
            f"{each.least} to {each.most}",
            f"{each.requests}",
            *(f"{mean:.1f}" for mean in means),
            f"{each.bias:+.1f}",
        )
    if len(table):
        table.print()


def _time(seconds: float) -> str:
    """In UTC, as history.jsonl has it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}"
