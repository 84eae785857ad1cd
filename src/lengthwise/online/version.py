"""What is known of one version of a predictor, beside its weights."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from lengthwise.errors import UserError, reading
from lengthwise.online.folder import write_whole
from lengthwise.online.messages import Role

_FILE = "version.json"

_NAME = re.compile(r"version-(\d{6,})")


@dataclass(frozen=True)
class Judged:
    """How a version did on requests that it had not learned from; all numbers are finite.

    Attributes:
        requests: how many.
        pairs_right: share of their pairs that it put into the right order.
        low, high: 95 % interval of that.
        instead: the same share of what acted meanwhile; 0.5 if nothing did.
        mae: mean absolute error in tokens.
        predicted, tokens: predictions and true tokens behind it, at most 1,000 of each.
    """

    requests: int
    pairs_right: float
    low: float
    high: float
    instead: float
    mae: float
    predicted: tuple[float, ...] = ()
    tokens: tuple[float, ...] = ()

    @property
    def finite(self) -> bool:
        """Whether all of them are."""
        shares = (self.pairs_right, self.low, self.high, self.instead, self.mae)
        return all(map(math.isfinite, (*shares, *self.predicted, *self.tokens)))


@dataclass(frozen=True)
class Version:
    """A version of a predictor.

    Attributes:
        number: its place in the sequence that all roles share, from 1.
        role: what it predicts from.
        kind: name of the predictor.
        made: when, in Unix seconds.
        learned: requests that it learned from.
        seconds: that learning took.
        layer: layer whose hidden states it reads, if it is a probe.
        judged: how it does; None until it has been judged.
        acted: when it last began to act, in Unix seconds; None if it never did.
    """

    number: int
    role: Role
    kind: str
    made: float
    learned: int
    seconds: float
    layer: int | None = None
    judged: Judged | None = None
    acted: float | None = None


def numbers_in(folder: Path) -> list[int]:
    """The versions that are there, readable or not, in ascending order."""
    if not folder.is_dir():
        return []
    found = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


def folder_of(folder: Path, number: int) -> Path:
    """The folder of a version, below that of all."""
    return folder / f"version-{number:06}"


def read_version(folder: Path, number: int) -> Version:
    """What is known of a version of a folder.

    Raises:
        UserError: if it is not there, or damaged.
    """
    path = folder_of(folder, number) / _FILE
    if not path.parent.is_dir():
        raise UserError(f"there is no version {number} in {folder}")
    with reading(path):
        version = msgspec.json.decode(path.read_bytes(), type=Version)
        if version.number != number:
            raise ValueError(f"it is of version {version.number}")
    return version


def write_version(folder: Path, version: Version) -> None:
    """Write what is known of it into a version's own folder.

    Raises:
        UserError: if it was judged by what is no number, which JSON does not have.
        OSError: if it cannot be written.
    """
    if version.judged is not None and not version.judged.finite:
        raise UserError(f"version {version.number} has figures that are no numbers")
    write_whole(folder / _FILE, msgspec.json.encode(version) + b"\n")


def describe(folder: Path) -> dict[str, Any]:
    """What predictors.json says in a version's own folder.

    Raises:
        UserError: if it is not there, or damaged.
    """
    path = folder / "predictors.json"
    with reading(path):
        return dict(json.loads(path.read_text()))


def model_of(folder: Path) -> str | None:
    """The identity of the model that the newest readable version of a folder belongs to."""
    for number in reversed(numbers_in(folder)):
        with suppress(UserError):
            return str(describe(folder_of(folder, number)).get("model"))
    return None
