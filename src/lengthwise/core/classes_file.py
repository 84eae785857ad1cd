"""The file of service classes: TOML, read and checked before anything starts."""

from __future__ import annotations

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lengthwise.core.service import Classes, ServiceClass, Target
from lengthwise.errors import UserError, reading

BUILTIN = "builtin"
"""The name that stands for :data:`BUILTIN_TOML` instead of a file."""

BUILTIN_TOML = """\
# Where promises cannot all be kept, those of later classes give way first.
default = "standard"

[class.interactive]             # somebody watches the answer appear
ttft = "1s"                     # most time to the first token
tpot = "100ms"                  # most time for each token after it, on average
tenants = ["interactive"]       # whose requests are in it
tiers = ["priority"]            # or which service_tier they have

[class.standard]
ttft = "10s"
share = 0.1                     # of the engine's work, what it cannot lose

[class.batch]                   # nothing is promised: it fills what is left
tenants = ["batch"]
tiers = ["flex"]
"""

_UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_TOP = ("default", "class", "clients_choose")
_DURATIONS = ("ttft", "tpot", "deadline")
_LISTS: dict[str, tuple[type, str]] = {
    "tenants": (str, "texts"),
    "tiers": (str, "texts"),
    "priorities": (int, "whole numbers"),
}
_KEYS = (*_DURATIONS, "share", *_LISTS)

_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")


def read_classes(path: str | Path) -> Classes:
    """The classes of a TOML file; ``builtin`` stands for three that are shipped.

    Raises:
        UserError: if the file cannot be read, or something in it is wrong: one line that
            names the file and the key.
    """
    if str(path) == BUILTIN:
        return classes_of(tomllib.loads(BUILTIN_TOML), BUILTIN)
    with reading(f"classes {path}", "give a TOML file, or builtin (see lengthwise check-config)"):
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    return classes_of(found, str(path))


def classes_of(plain: Mapping[str, Any], what: str = "classes") -> Classes:
    """Classes from what the file has, or from what :meth:`Classes.plain` gave.

    Args:
        what: stands before the key in errors.

    Raises:
        UserError: names the key, and what is wrong with it.
    """
    _known(plain, _TOP, what, "")
    tables = plain.get("class", {})
    if not isinstance(tables, Mapping) or not tables:
        raise UserError(f"{what}: no class in it: begin one with [class.NAME]")
    found = tuple(_class(name, table, what) for name, table in tables.items())
    default = plain.get("default", found[0].name if len(found) == 1 else None)
    if not isinstance(default, str):
        raise UserError(f'{what}: default: name the class of all other requests: default = "..."')
    choose = plain.get("clients_choose", False)
    if not isinstance(choose, bool):
        raise UserError(f"{what}: clients_choose is true or false, not {choose!r}")
    try:
        return Classes(found, default, choose)
    except UserError as error:
        raise UserError(f"{what}: {error}") from None


def _class(name: str, table: Any, what: str) -> ServiceClass:
    if not _NAME.fullmatch(name):
        raise UserError(f"{what}: class {name!r}: a name has up to 64 letters, digits, . _ and -")
    place = f"{what}: class.{name}"
    if not isinstance(table, Mapping):
        raise UserError(f"{place} is a table: begin it with [class.{name}]")
    _known(table, _KEYS, what, f"class.{name}.")
    targets = {key: _seconds(table[key], f"{place}.{key}") for key in _DURATIONS if key in table}
    share = table.get("share", 0.0)
    if not _is_number(share) or not 0.0 <= share < 1.0:
        raise UserError(f"{place}.share must be from 0 to below 1, not {share!r}")
    lists = {
        key: _list(table[key], f"{place}.{key}", *_LISTS[key]) for key in _LISTS if key in table
    }
    return ServiceClass(name, Target(**targets), float(share), **lists)


def _known(table: Mapping[str, Any], keys: tuple[str, ...], what: str, place: str) -> None:
    for key in table:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, 1)
            advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(keys)}"
            raise UserError(f"{what}: unknown key {place}{key}: {advice}")


def _seconds(said: Any, place: str) -> float:
    """Seconds of a number, or of a text with a unit."""
    seconds = math.nan
    if _is_number(said):
        seconds = float(said)
    elif isinstance(said, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+)\s*", said)
        if match is not None and match[2] in _UNITS:
            seconds = float(match[1]) * _UNITS[match[2]]
    if math.isnan(seconds):
        raise UserError(f'{place}: give seconds, or a text like "500ms", "30s", "1h", not {said!r}')
    if not 0.0 < seconds < 1e9:
        raise UserError(f"{place} must be above 0, and below 1e9 seconds, not {said!r}")
    return seconds


def _list(said: Any, place: str, kind: type, kinds: str) -> tuple[Any, ...]:
    if isinstance(said, list | tuple) and all(type(each) is kind and each != "" for each in said):
        return tuple(said)
    raise UserError(f"{place} is a list of {kinds} in brackets, not {said!r}")


def _is_number(said: Any) -> bool:
    # TOML's whole numbers may be too large for a float.
    return isinstance(said, int | float) and not isinstance(said, bool) and -1e300 < said < 1e300
