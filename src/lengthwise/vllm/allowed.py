"""VLLM_PLUGINS: vLLM serves routes of plug-ins only if it names them, and then loads no others.

So to add a page of ours without taking away what is loaded today, it must name everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

NAME = "lengthwise"
"""Of all our plug-ins."""

VARIABLE = "VLLM_PLUGINS"
"""Environment variable of vLLM: names of plug-ins, separated by commas."""

ENDPOINTS = "vllm.endpoint_plugins"
"""The group that vLLM loads only if they are named."""

_GROUPS = "vllm."


@dataclass(frozen=True)
class Allowed:
    """What VLLM_PLUGINS should be.

    Attributes:
        value: of the variable; None: it stays unset.
        line: what the operator should know of it; None if nothing changes for them.
    """

    value: str | None
    line: str | None = None


def discovered() -> dict[str, frozenset[str]]:
    """Names of the installed plug-ins of vLLM, by group."""
    installed = entry_points()
    groups = [group for group in installed.groups if group.startswith(_GROUPS)]
    return {
        group: frozenset(each.name for each in installed.select(group=group)) for group in groups
    }


def allowed(given: str | None, page: bool, found: Mapping[str, frozenset[str]]) -> Allowed:
    """VLLM_PLUGINS with lengthwise in it.

    Args:
        given: its value; None if it is unset, which loads all plug-ins but those of routes.
        page: whether our routes are wanted.
        found: the names of installed plug-ins, by group.
    """
    if given is not None:
        names = [name for name in given.split(",") if name]
        if NAME in names:
            return Allowed(given)
        return Allowed(
            ",".join([*names, NAME]), f"{VARIABLE} does not name lengthwise: it is added"
        )
    if not page or NAME not in found.get(ENDPOINTS, ()):
        return Allowed(None)
    loaded = frozenset[str]().union(*(found[group] for group in found if group != ENDPOINTS))
    opened = sorted(loaded & found[ENDPOINTS] - {NAME})
    line = None
    if opened:
        line = (
            f"with the live page vLLM also serves the routes of {', '.join(opened)}; "
            "--page off leaves both out"
        )
    return Allowed(",".join(sorted(loaded | {NAME})), line)
