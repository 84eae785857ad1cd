"""Where a report's figures come from."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

from lengthwise.report.parts import Origin
from lengthwise.results.origin import Made, made


def origin(seeds: str, notes: Sequence[str] = (), by: Made | None = None) -> Origin:
    """What it takes to make the figures again.

    Args:
        seeds: of everything random, in words.
        notes: a sentence each: what the data was, which rows were left out and why.
        by: what made the figures; None is this command on this machine.
    """
    it = by or made()
    versions = [*it.versions.items()]
    if by is None:
        versions.append(("matplotlib", version("matplotlib")))
    return Origin(it.command, versions, seeds, it.machine, tuple(notes))
