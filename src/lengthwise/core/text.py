"""Text from outside, made fit for a line of a terminal, a log or a figure."""

from __future__ import annotations


def visible(text: object) -> str:
    r"""The text on one line, with control and invisible characters written like ``\x1b``."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in plain
    )
