"""``lengthwise completion``: what a shell needs to complete commands and flags."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from lengthwise.cli.groups import examples


@click.command(
    short_help="Print the completion script of a shell.",
    epilog=examples('eval "$(lengthwise completion bash)"'),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete the commands and flags of lengthwise."""
    kind = get_completion_class(shell)
    assert kind is not None
    root = ctx.find_root()
    print(kind(root.command, {}, "lengthwise", "_LENGTHWISE_COMPLETE").source())
