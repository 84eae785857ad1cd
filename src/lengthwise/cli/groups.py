"""The command's groups: modes of a command, help with examples, errors in one line."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click


class Modes(click.Group):
    """A command of several modes; its first is meant where none is named.

    So ``lengthwise bench MODEL`` is ``lengthwise bench policies MODEL``.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the first mode before arguments that name none."""
        modes = list(self.commands)
        # A shell that completes the next word asks for the modes.
        asked = bool(args) or not ctx.resilient_parsing
        if asked and args[:1] not in [[each] for each in (*modes, *ctx.help_option_names)]:
            args = [modes[0], *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The modes in their order: the first is the default."""
        return list(self.commands)


def examples(*lines: str) -> str:
    """The examples below a command's help, one a line."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def one_line(error: click.ClickException) -> str:
    """What is wrong with a command line, and where its flags are explained."""
    message = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    return message if context is None else f"{message} (see {context.command_path} --help)"


@contextlib.contextmanager
def result_on_stdout(asked: bool, file: Path) -> Iterator[None]:
    """With ``--json`` the result file's content goes to standard output and all else does not."""
    if not asked:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield
    click.echo(json.dumps(json.loads(file.read_text())))
