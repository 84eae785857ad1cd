"""Which versions act: ``acting.json``, written by the learner and read by everybody."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lengthwise.errors import UserError, reading
from lengthwise.online.folder import write_whole
from lengthwise.online.messages import ROLES, Role
from lengthwise.online.version import read_version

_FILE = "acting.json"


def read_acting(folder: Path) -> dict[Role, int]:
    """The version that acts, of each role of which one does.

    Raises:
        UserError: if the file is damaged.
    """
    path = folder / _FILE
    with reading(path):
        if not path.exists():
            return {}
        found = msgspec.json.decode(path.read_bytes(), type=dict[Role, int | None])
        return {role: number for role, number in found.items() if number is not None}


def write_acting(folder: Path, acting: dict[Role, int]) -> None:
    """Write the file whole; a role of which no version acts is null in it."""
    content = {role: acting.get(role) for role in ROLES}
    write_whole(folder / _FILE, msgspec.json.encode(content) + b"\n")


def acting_layer(folder: Path) -> int | None:
    """The layer that the acting probe reads; None if none acts, or it cannot be read."""
    try:
        number = read_acting(folder).get("probe")
        return None if number is None else read_version(folder, number).layer
    except UserError:
        return None
