"""What an operator ordered: versions that must act, or must not. A learner follows it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from lengthwise.errors import reading
from lengthwise.online.folder import write_whole
from lengthwise.online.messages import Role

NONE = 0
"""Pinned, it says that no version may act."""

_FILE = "orders.json"


@dataclass(frozen=True)
class Orders:
    """Orders for the versions of a folder; only the operator's command writes them.

    Attributes:
        pinned: of a role, the version that acts whatever its figures; 0 for none at all.
        barred: versions that must not act.
    """

    pinned: dict[Role, int] = field(default_factory=dict)
    barred: frozenset[int] = frozenset()

    def pin(self, role: Role, number: int) -> Orders:
        """The same, and this version is pinned; it is barred no longer."""
        return replace(self, pinned={**self.pinned, role: number}, barred=self.barred - {number})

    def unpin(self, role: Role) -> Orders:
        """The same, and nothing of that role is pinned."""
        rest = {each: number for each, number in self.pinned.items() if each != role}
        return replace(self, pinned=rest)

    def bar(self, *numbers: int) -> Orders:
        """The same, and these versions are barred, and pinned no longer."""
        rest = {role: number for role, number in self.pinned.items() if number not in numbers}
        return Orders(rest, self.barred | {*numbers})


def read_orders(folder: Path) -> Orders:
    """The orders in a folder; none if there is no such file.

    Raises:
        UserError: if it is damaged.
    """
    path = folder / _FILE
    with reading(path, "no orders are followed until one is given again"):
        return msgspec.json.decode(path.read_bytes(), type=Orders) if path.exists() else Orders()


def write_orders(folder: Path, orders: Orders) -> None:
    """Write the file whole."""
    write_whole(folder / _FILE, msgspec.json.encode(orders) + b"\n")
