"""The flags that a user gives ``vllm serve``, read as vLLM will read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lengthwise.errors import UserError, reading


class Flags:
    """vLLM's flags as a command line gives them, with those of a file named by ``--config``.

    Args:
        given: the command line after the model.

    Attributes:
        given: the same.
        names: what is set, as vLLM spells it (``--a_b.c=1`` sets ``--a-b``).

    Raises:
        UserError: if that file cannot be read.
    """

    def __init__(self, given: list[str]) -> None:
        self.given = list(given)
        file = self._last("--config")
        self._file = {} if file is None else _read(file)
        self.names = {_name(flag) for flag in given if flag.startswith("-")} | {*self._file}

    def value(self, *names: str) -> str | None:
        """What one of these names is set to; the last one counts, and flags before the file."""
        found = self._last(*names)
        if found is not None:
            return found
        from_file = [self._file[name] for name in names if name in self._file]
        return from_file[-1] if from_file else None

    def values(self, name: str) -> list[str]:
        """All that one name is set to, where it takes several; each time it is given counts."""
        found, inside = [], False
        for flag in self.given:
            if flag.startswith("-"):
                head, equals, value = flag.partition("=")
                inside = _dashes(head) == name
                found += [value] if inside and equals else []
            elif inside:
                found.append(flag)
        return found or ([self._file[name]] if name in self._file else [])

    def number(self, default: int, *names: str) -> int:
        """The same, as a whole number; the default too where vLLM will refuse what is set."""
        value = self.value(*names)
        return int(value) if value is not None and value.isdecimal() else default

    def sets(self, *names: str) -> bool:
        """Whether one of these is set."""
        return not self.names.isdisjoint(names)

    def without(self, name: str) -> list[str]:
        """The command line without this flag and its value."""
        return [flag for at, flag in enumerate(self.given) if not self._says(at, name)]

    def _last(self, *names: str) -> str | None:
        found = [value for flag, value in self._pairs() if flag in names]
        return found[-1] if found else None

    def _pairs(self) -> Iterator[tuple[str, str]]:
        """Each flag that has a value, and its value."""
        for at, flag in enumerate(self.given):
            if flag.startswith("-") and "=" in flag:
                name, _, value = flag.partition("=")
                yield _dashes(name), value
            elif flag.startswith("-") and at + 1 < len(self.given):
                yield _dashes(flag), self.given[at + 1]

    def _says(self, at: int, name: str) -> bool:
        flag = self.given[at]
        if at and _dashes(self.given[at - 1]) == name:
            return True
        return _dashes(flag.partition("=")[0]) == name


def additional_config(flags: Flags) -> dict[str, Any]:
    """The user's own additional config, which ours joins.

    Raises:
        UserError: if it is no JSON object.
    """
    value = flags.value("--additional-config")
    if value is None:
        return {}
    try:
        given = json.loads(value)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise UserError("--additional-config must be a JSON object")
    return given


def _dashes(flag: str) -> str:
    return flag.replace("_", "-") if flag.startswith("--") else flag


def _name(flag: str) -> str:
    return _dashes(flag.partition("=")[0].partition(".")[0])


def _read(file: str) -> dict[str, str]:
    """The file's flags and values, each as it would stand on the command line."""
    with reading(f"--config {file}", "give a YAML file of vLLM's flags"):
        found = _yaml(Path(file))
    return {
        _dashes(f"--no-{key}" if value is False else f"--{key}"): (
            value if isinstance(value, str) else json.dumps(value, default=str)
        )
        for key, value in found.items()
    }


def _yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        found = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("no flags in it")
    return found
