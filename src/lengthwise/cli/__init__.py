"""The command ``lengthwise``: one file a subcommand."""

from lengthwise.cli.main import main

__all__ = ["main"]
