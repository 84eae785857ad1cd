"""Whatever is wrong with a command's input is one line, status 2, before anything slow starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Ray's import warns, which is no business of these tests.
pytest.importorskip("ray.serve", reason="needs Ray Serve: pip install lengthwise[ray]")


def table() -> Iterator[tuple[str, str]]:
    """Commands and what they say, from table.txt."""
    commands: list[str] = []
    was_row = False
    for line in Path(__file__).with_name("table.txt").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if not line.startswith("    "):
            commands = [*([] if was_row else commands), line]
            was_row = False
            continue
        was_row = True
        words, says = line.split(" | ")
        for command in commands:
            yield command.replace("...", words.strip()), says


@pytest.mark.parametrize(("command", "says"), list(table()))
def test_bad_input_is_one_line_before_anything_starts(
    refuse: Callable[[str], str], command: str, says: str
) -> None:
    assert says in refuse(command)
