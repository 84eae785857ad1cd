"""Collected answers on disk: files of finished requests, each whole or not there at all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from lengthwise.errors import UserError, reading

_ARRAYS = ("ages", "states", "mean")
_DAMAGED = "delete that shard and run lengthwise collect again"
_META = ("model", "layers", "cap")

SHARD = 32
"""Most finished requests in a file."""


@dataclass(frozen=True)
class Saved:
    """A shard that was just written: its list, and the requests in it."""

    path: Path
    rows: int


class Shards:
    """Saves finished requests: so many together, or once the oldest has waited long enough.

    Args:
        folder: of the files.
        save_s: seconds that a finished request waits for others at most.
        clock: seconds.
    """

    def __init__(
        self, folder: Path, save_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._save_s, self._clock = folder, save_s, clock
        self._rows: list[dict[str, Any]] = []
        self._arrays: dict[str, NDArray[Any]] = {}
        self._oldest = 0.0

    def add(self, row: dict[str, Any], *arrays: NDArray[Any]) -> None:
        """A request finished; its arrays: ages [n], states [n, L, d], mean [L, d]."""
        if not self._rows:
            self._oldest = self._clock()
        i = len(self._rows)
        named = zip(_ARRAYS, arrays, strict=True)
        self._arrays |= {f"{i}.{name}": array for name, array in named}
        self._rows.append(row)

    def save_if_due(self) -> Saved | None:
        """Between two steps of the engine; what was saved, if anything was due."""
        waited = self._clock() - self._oldest
        if len(self._rows) >= SHARD or (self._rows and waited >= self._save_s):
            return self.save()
        return None

    def save(self) -> Saved | None:
        """The list is renamed into place last: a shard without it does not count."""
        if not self._rows:
            return None
        name = f"shard-{_next(self._folder):05d}"
        save_file(self._arrays, self._folder / f"{name}.safetensors")
        partial = self._folder / f"{name}.partial"
        partial.write_text(json.dumps(self._rows))
        saved = Saved(partial.rename(self._folder / f"{name}.json"), len(self._rows))
        self._rows, self._arrays = [], {}
        return saved


def _next(folder: Path) -> int:
    """The next shard's number; the oldest may be gone."""
    last = max((path.stem for path in folder.glob("shard-*.json")), default=None)
    return 0 if last is None else int(last.removeprefix("shard-")) + 1


def finished_ids(folder: Path) -> list[str]:
    """Ids of the prompts whose data is safely on disk."""
    return [row["id"] for path in sorted(folder.glob("shard-*.json")) for row in read_rows(path)]


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The requests of one shard: id, prompt token ids, output tokens, censored.

    Raises:
        UserError: if it is damaged.
    """
    with reading(path, _DAMAGED):
        rows: list[dict[str, Any]] = json.loads(path.read_text())
        for row in rows:
            row["id"], row["prompt_ids"], row["output_tokens"], row["censored"]
    return rows


def read_meta(folder: Path) -> dict[str, Any]:
    """What the folder's data was collected with.

    Raises:
        UserError: if there is no such data, or it is damaged.
    """
    path = folder / "meta.json"
    if not path.is_file():
        raise UserError(f"no collected data in {folder}: run lengthwise collect first")
    with reading(path, f"delete {folder} and run lengthwise collect again"):
        meta: dict[str, Any] = json.loads(path.read_text())
        missing = [name for name in _META if name not in meta]
        if missing:
            raise ValueError(f"no {missing[0]} in it")
    return meta


def read_shards(folder: Path) -> list[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """Every request of a folder with its arrays: ages [n], states [n, L, d], mean [L, d].

    Raises:
        UserError: if one is damaged.
    """
    return [row for path in sorted(folder.glob("shard-*.json")) for row in read_shard(path)]


def read_shard(path: Path) -> list[tuple[dict[str, Any], dict[str, NDArray[Any]]]]:
    """The requests of one shard, with their arrays.

    Raises:
        UserError: if it is damaged.
    """
    rows = read_rows(path)
    with reading(path.with_suffix(".safetensors"), _DAMAGED):
        arrays = load_file(path.with_suffix(".safetensors"))
        return [
            (row, {name: arrays[f"{i}.{name}"] for name in _ARRAYS}) for i, row in enumerate(rows)
        ]
