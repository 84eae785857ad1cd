"""Types of flags that Click does not have: names, folders and numbers, separated by commas."""

from __future__ import annotations

from pathlib import Path

import click

from lengthwise.predictors.layers import LAST


def names(text: str) -> list[str]:
    """Names, separated by commas."""
    return text.split(",")


def folders(text: str) -> list[Path]:
    """Folders, separated by commas; none in an empty text."""
    return [Path(name) for name in text.split(",") if name]


def wholes(text: str) -> tuple[int, ...]:
    """Whole numbers, separated by commas; none in an empty text."""
    try:
        return tuple(int(number) for number in text.split(",") if number)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of whole numbers like 2,8") from None


def layers(text: str) -> tuple[int, ...]:
    """Layers of a model, separated by commas, ``last`` among them; none in an empty text."""
    given = [name for name in text.split(",") if name]
    numbers = wholes(",".join(name for name in given if name != "last"))
    return (*numbers, LAST) if "last" in given else numbers


PATH = click.Path(path_type=Path)
