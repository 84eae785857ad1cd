"""Service classes in results: as results.json keeps them, and which class a request was in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from lengthwise.core.service import Classes


def plain(classes: Classes | None) -> dict[str, Any]:
    """Classes as JSON has them; empty without any."""
    return {} if classes is None else dict(msgspec.to_builtins(classes))


def kept(setup: dict[str, Any]) -> Classes | None:
    """What :func:`plain` wrote into a results.json's setup; None without classes.

    Raises:
        ValueError: if what is there are no classes.
    """
    found = setup.get("classes")
    return msgspec.convert(found, Classes) if found else None


def services(
    classes: Classes, tenants: Sequence[str | None], priorities: Sequence[int]
) -> list[str]:
    """The names of the classes of n requests.

    Args:
        tenants: n names (None: no tenant), or none at all.
        priorities: n priorities as clients send them.
    """
    n = len(priorities)
    known: dict[tuple[str | None, int], str] = {}
    found = []
    for tenant, priority in zip(tenants or [None] * n, priorities, strict=True):
        # A trace has many requests and few kinds of client.
        client = tenant, int(priority)
        if client not in known:
            known[client] = classes.of(tenant).name
        found.append(known[client])
    return found
