"""What the modes of ``lengthwise predictors`` share: whose versions, and where they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from lengthwise.cli import flags, values
from lengthwise.core.checks import folder_for
from lengthwise.errors import UserError
from lengthwise.results.terminal import complain

if TYPE_CHECKING:
    from lengthwise.online.messages import Role
    from lengthwise.online.versions import Versions

folder = click.option(
    "--folder",
    type=values.PATH,
    metavar="FOLDER",
    help="Where they are, if not in the cache; then MODEL may be gone.",
)


def role(text: str) -> flags.Flag:
    """Versions of one role only."""
    return click.option("--role", type=click.Choice(["prompt", "probe"]), help=text)


def learned(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the argument MODEL and ``--folder``; the command gets ``versions`` in their place.

    What the disk refuses is one line.
    """

    @flags.model
    @folder
    @wraps(command)
    def run(model: str, folder: Path | None, **given: Any) -> Any:
        try:
            return command(versions=opened(model, folder), **given)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise UserError(f"{where}{error.strerror or error}") from None

    return run


def opened(model: str, folder: Path | None) -> Versions:
    """The versions of a model, in its folder of the cache or in the one that is given.

    Raises:
        UserError: if there is neither such a model nor such a folder.
    """
    from lengthwise.models.fingerprint import identity, model_folder
    from lengthwise.online.folder import learned_folder
    from lengthwise.online.version import model_of
    from lengthwise.online.versions import Versions

    where = learned_folder(model, None if folder is None else str(folder))
    if not where.is_dir():
        folder_for(where, "folder")
    try:
        model_folder(model)
        known_as = identity(model)
    except UserError:
        # The name is all that is left of the model, unless its versions tell more.
        if not where.is_dir():
            raise
        known_as = model_of(where) or identity(model)
    return Versions(where, known_as, complain)


def acting_of(versions: Versions, role: Role | None) -> dict[Role, int]:
    """The versions that act, of one role or of all.

    Raises:
        UserError: if there is none.
    """
    acting = versions.acting()
    found = {each: number for each, number in acting.items() if role in (None, each)}
    if not found:
        what = "version" if role is None else f"{role} version"
        raise UserError(f"no {what} acts in {versions.folder}: give a number")
    return found


def as_role(name: str | None) -> Role | None:
    """A role that Click has checked."""
    return cast("Role | None", name)
