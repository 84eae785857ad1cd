"""Versions of a model's predictors on disk: each is whole or not there at all.

``version-000012/`` is a folder of trained predictors, which ``--predictor`` takes as well, with
``version.json`` beside them.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from lengthwise.errors import UserError, reading
from lengthwise.online.acting import acting_layer, read_acting, write_acting
from lengthwise.online.folder import PRIVATE, make
from lengthwise.online.messages import Role
from lengthwise.online.orders import Orders, read_orders, write_orders
from lengthwise.online.version import (
    Judged,
    Version,
    describe,
    folder_of,
    numbers_in,
    read_version,
    write_version,
)
from lengthwise.predictors.base import LengthPredictor, PromptPredictor
from lengthwise.predictors.store import read_predictor, save_predictor

__all__ = ["Judged", "Orders", "Version", "Versions", "acting_layer"]

KEPT = 5
"""Versions of each role that are kept, besides those that act or are pinned."""

_STALE_S = 3600.0
"""Age of a half-written version whose writer must be dead."""


class Versions:
    """The versions in a folder.

    Whatever writes raises OSError where the disk does. What cannot be read is skipped, with one
    line to ``tell``, once.

    Args:
        folder: made when something is written first.
        model: identity of the served model; other models' versions are skipped.
        tell: gets the lines.
        clock: Unix seconds.
    """

    def __init__(
        self,
        folder: Path,
        model: str,
        tell: Callable[[str], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.folder, self.model = folder, model
        self._tell, self._clock = tell, clock
        self._told: set[str] = set()

    def all(self) -> list[Version]:
        """The versions that can be read, oldest first."""
        found = []
        for number in self.numbers():
            try:
                found.append(self.read(number))
            except UserError as error:
                self._tell_once(f"version {number} is skipped: {error}")
        return found

    def numbers(self) -> list[int]:
        """The versions that are there, readable or not, in ascending order."""
        return numbers_in(self.folder)

    def read(self, number: int) -> Version:
        """What is known of one version.

        Raises:
            UserError: if it is not there, damaged, or another model's.
        """
        version = read_version(self.folder, number)
        self._described(number)
        weights = folder_of(self.folder, number) / f"{version.role}.safetensors"
        # A file cut short is noticed by its header, which says how long it is.
        with reading(weights), safe_open(weights, "numpy"):
            return version

    def load(self, number: int) -> LengthPredictor:
        """The predictor of a version.

        Raises:
            UserError: if it is not there, damaged, or another model's.
        """
        role, folder = self.read(number).role, folder_of(self.folder, number)
        found = read_predictor(folder, self._described(number), role, advice="")
        if isinstance(found, PromptPredictor) != (role == "prompt"):
            raise UserError(f"{folder}: {found.name} is no predictor of that role, {role}")
        return found

    def next_number(self) -> int:
        """A number that no version has had, as far as can be seen."""
        orders = self.orders()
        used = (*self.numbers(), *orders.barred, *orders.pinned.values(), *self.acting().values())
        return max(used, default=0) + 1

    def save(self, version: Version, predictor: LengthPredictor) -> None:
        """Write a new version, then delete those that are not kept any more.

        Raises:
            OSError: if it cannot be written, FileExistsError if its number is taken.
        """
        make(self.folder)
        target = folder_of(self.folder, version.number)
        if target.exists():
            raise FileExistsError(f"there is a version {version.number} in {self.folder}")
        beside = self._partial(version.number)
        try:
            beside.mkdir(mode=PRIVATE)
            self._write(beside, version, predictor)
            beside.rename(target)
        except SafetensorError as error:
            raise OSError(str(error)) from None
        finally:
            shutil.rmtree(beside, ignore_errors=True)
        self._prune(version.role)

    def judge(self, number: int, judged: Judged) -> None:
        """Note how a version does.

        Raises:
            UserError: if it cannot be read, or a figure is no finite number.
        """
        self._note(replace(self.read(number), judged=judged))

    def acting(self) -> dict[Role, int]:
        """The version that acts, of each role of which one does."""
        try:
            return read_acting(self.folder)
        except UserError as error:
            self._tell_once(str(error))
            return {}

    def act(self, role: Role, number: int | None) -> None:
        """Note which version acts from now on; None is none of that role."""
        others = {each: acts for each, acts in self.acting().items() if each != role}
        if number is None:
            write_acting(self.folder, others)
            return
        write_acting(self.folder, {**others, role: number})
        with suppress(UserError):
            self._note(replace(self.read(number), acted=self._clock()))

    def previous(self, role: Role) -> int | None:
        """Of the kept versions that may act, the one that acted last before what acts now."""
        acting, barred = self.acting().get(role), self.orders().barred
        acted = [
            (each.acted, each.number)
            for each in self.all()
            if each.role == role and each.acted is not None
            if each.number != acting and each.number not in barred
        ]
        return max(acted)[1] if acted else None

    def candidate(self, role: Role) -> int | None:
        """The newest version, if it may act and never did: one just made, or imported."""
        mine = [each for each in self.all() if each.role == role]
        if not mine or mine[-1].acted is not None or mine[-1].number in self.orders().barred:
            return None
        return mine[-1].number

    def orders(self) -> Orders:
        """What the operator ordered; nothing if that cannot be read."""
        try:
            return read_orders(self.folder)
        except UserError as error:
            self._tell_once(str(error))
            return Orders()

    def order(self, orders: Orders) -> None:
        """Write what the operator orders: for the operator's command only."""
        write_orders(self.folder, orders)

    def delete(self, number: int) -> None:
        """Delete a version, readable or not."""
        gone = self._partial(number)
        with suppress(FileNotFoundError):
            folder_of(self.folder, number).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _partial(self, number: int) -> Path:
        """Where this process writes or deletes a version."""
        return self.folder / f".version-{number:06}.{os.getpid()}.partial"

    def _described(self, number: int) -> dict[str, Any]:
        folder = folder_of(self.folder, number)
        described = describe(folder)
        if (theirs := described.get("model")) != self.model:
            raise UserError(f"{folder} belongs to model {theirs}, not to {self.model}")
        return described

    def _write(self, folder: Path, version: Version, predictor: LengthPredictor) -> None:
        saved = save_predictor(predictor, folder / f"{version.role}.safetensors")
        described = {"model": self.model, version.role: saved, "report": {}}
        (folder / "predictors.json").write_text(json.dumps(described, indent=1) + "\n")
        write_version(folder, version)

    def _note(self, version: Version) -> None:
        write_version(folder_of(self.folder, version.number), version)

    def _prune(self, role: Role) -> None:
        kept = {*self.acting().values(), *self.orders().pinned.values()}
        mine = [each.number for each in self.all() if each.role == role]
        for number in mine[:-KEPT]:
            if number not in kept:
                self.delete(number)
        for partial in self.folder.glob(".version-*.partial"):
            with suppress(OSError):
                if self._clock() - partial.stat().st_mtime > _STALE_S:
                    shutil.rmtree(partial, ignore_errors=True)

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self._tell(line)
