"""The modes of ``lengthwise predictors`` that change something: versions moved and ordered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lengthwise.cli import flags, values
from lengthwise.cli.groups import examples
from lengthwise.cli.learned import acting_of, as_role, learned, role
from lengthwise.core.checks import file_for
from lengthwise.errors import UserError
from lengthwise.results.terminal import complain, say

if TYPE_CHECKING:
    from lengthwise.online.messages import Role
    from lengthwise.online.versions import Versions


@click.command(
    short_help="Write what acts into a file, for another replica.",
    epilog=examples(
        "lengthwise predictors export MODEL learned.zip",
        "lengthwise predictors export MODEL learned.zip --version 12",
    ),
)
@learned
@click.argument("file", type=values.PATH)
@flags.whole("--version", None, "This version in place of those that act.")
def export(versions: Versions, file: Path, version: int | None) -> None:
    """Write the versions that act into the zip archive FILE."""
    from lengthwise.online.archive import export as write

    file_for(file, "file")
    numbers = acting_of(versions, None).values() if version is None else [version]
    write(versions, numbers, file)
    say(f"{file}: version {', '.join(map(str, sorted(numbers)))}")


@click.command(
    "import",
    short_help="Take versions of another replica's file.",
    epilog=examples(
        "lengthwise predictors import MODEL learned.zip",
        "lengthwise predictors import MODEL learned.zip --act",
    ),
)
@learned
@click.argument("file", type=values.PATH)
@flags.whole("--version", None, "Only this version of the file.")
@click.option("--act", is_flag=True, help="Pin them: they act without proving themselves.")
def take_in(versions: Versions, file: Path, version: int | None, act: bool) -> None:
    """Add the versions of FILE, which another replica of MODEL exported, under new numbers."""
    from lengthwise.online.archive import take_in as read

    added = read(versions, file, version)
    for number, ours in added:
        what = f"version {ours.number} ({ours.role}) is {number} of {file}"
        if act:
            versions.order(versions.orders().pin(ours.role, ours.number))
        say(f"{what}: " + ("it is pinned" if act else "it must prove itself before it acts"))


@click.command(
    short_help="Make a version act, or none, whatever its figures.",
    epilog=examples(
        "lengthwise predictors pin MODEL 12",
        "lengthwise predictors pin MODEL none --role prompt",
    ),
)
@learned
@click.argument("number")
@role("Of which no version may act, with none.")
def pin(versions: Versions, number: str, role: str | None) -> None:
    """Make version NUMBER act until it is unpinned; with none, no version of that role."""
    from lengthwise.online.orders import NONE

    chosen = as_role(role)
    if number == "none":
        if chosen is None:
            raise UserError("give --role: of prompt or probe none may act")
        versions.order(versions.orders().pin(chosen, NONE))
        say(f"no {chosen} version may act")
        return
    if not number.isdecimal():
        raise UserError(f"{number!r} is no version: give its number, or none")
    version = versions.read(int(number))
    if chosen not in (None, version.role):
        raise UserError(f"version {number} is a {version.role} version, not --role {chosen}")
    versions.order(versions.orders().pin(version.role, version.number))
    say(f"version {version.number} is pinned: it acts as {version.role} version")


@click.command(
    short_help="Take a pin back.",
    epilog=examples("lengthwise predictors unpin MODEL"),
)
@learned
@role("Only of this role.")
def unpin(versions: Versions, role: str | None) -> None:
    """Let versions act by their figures again."""
    orders, chosen = versions.orders(), as_role(role)
    pinned: list[Role] = [each for each in orders.pinned if chosen in (None, each)]
    for each in pinned:
        orders = orders.unpin(each)
        versions.order(orders)
        say(f"{each}: versions act by their figures again")
    if not pinned:
        say("nothing is pinned")


@click.command(
    short_help="Bar what acts; the version before acts again.",
    epilog=examples("lengthwise predictors rollback MODEL"),
)
@learned
@role("Of this role; without it what began to act last.")
def rollback(versions: Versions, role: str | None) -> None:
    """Bar the version that acts for good: the one before it acts again, if there is one."""
    acting = acting_of(versions, as_role(role))
    known = {each.number: each.acted or 0.0 for each in versions.all()}
    chosen = max(acting, key=lambda each: known.get(acting[each], 0.0))
    before = versions.previous(chosen)
    orders = versions.orders().unpin(chosen).bar(acting[chosen])
    versions.order(orders)
    instead = "none acts" if before is None else f"version {before} acts again"
    say(f"{chosen}: version {acting[chosen]} is barred, {instead}")


@click.command(
    short_help="Delete a version, or all that was learned.",
    epilog=examples(
        "lengthwise predictors forget MODEL 12",
        "lengthwise predictors forget MODEL --yes",
    ),
)
@learned
@click.argument("number", type=int, required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(versions: Versions, number: int | None, yes: bool) -> None:
    """Delete version NUMBER; without it, all versions, the samples of requests and the history.

    A server that runs stops acting by what is deleted, and keeps the requests that it has in
    its memory: to forget those too, stop it first.
    """
    from lengthwise.online import forgetting

    if not versions.folder.is_dir():
        raise UserError(f"nothing is learned in {versions.folder}")
    if number is not None and number not in versions.numbers():
        raise UserError(f"there is no version {number} in {versions.folder}")
    what = "all that was learned" if number is None else f"version {number}"
    if not yes and not click.confirm(f"delete {what} in {versions.folder}?"):
        say("nothing is deleted")
        return
    if number is None:
        forgetting.forget_all(versions.folder, versions.model, complain)
    else:
        forgetting.forget(versions, number)
    say(f"{what} is deleted")
