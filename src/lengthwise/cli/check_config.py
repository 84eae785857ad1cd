"""``lengthwise check-config``: what a file of service classes means, in words."""

from __future__ import annotations

import click

from lengthwise.cli.groups import examples


@click.command(
    "check-config",
    short_help="Check a file of service classes, say what it means.",
    epilog=examples(
        "lengthwise check-config classes.toml",
        "lengthwise check-config builtin",
        "lengthwise check-config --example > classes.toml",
    ),
)
@click.argument("file", required=False, metavar="FILE")
@click.option("--example", is_flag=True, help="Print the built-in classes as a file to begin with.")
def check_config(file: str | None, example: bool) -> None:
    """Check FILE, the TOML file of --classes, and say what it promises to whom."""
    from lengthwise.core.classes_file import BUILTIN_TOML, read_classes
    from lengthwise.errors import UserError
    from lengthwise.results.service import show_classes

    if example:
        print(BUILTIN_TOML, end="")
    elif file is None:
        raise UserError("give a file of service classes, or builtin; --example prints one")
    else:
        show_classes(read_classes(file), file)
