"""Versions in a zip archive, for another replica of the same model."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from lengthwise.errors import UserError, reading
from lengthwise.online.messages import ROLES
from lengthwise.online.version import Version, folder_of
from lengthwise.online.versions import Versions
from lengthwise.predictors.base import LengthPredictor

_FILES = {
    "version.json": 2**20,
    "predictors.json": 2**20,
    **{f"{role}.safetensors": 2**26 for role in ROLES},
}
"""The files of a version that are exported, and the most bytes that one of them may hold."""

_MOST = 16
"""Most versions in an archive."""

_MEMBER = re.compile(r"version-(\d{6,9})/([\w.]+)")


def export(versions: Versions, numbers: Iterable[int], file: Path) -> None:
    """Write these versions into an archive, which replaces the file.

    Raises:
        UserError: if a version cannot be read.
        OSError: if the file cannot be written.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in numbers:
                versions.read(number)
                folder = folder_of(versions.folder, number)
                for path in sorted(folder.iterdir()):
                    if path.name in _FILES:
                        archive.write(path, f"{folder.name}/{path.name}")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def take_in(versions: Versions, file: Path, only: int | None = None) -> list[tuple[int, Version]]:
    """Add an archive's versions under new numbers; their figures are another replica's and go.

    Only our own files are read, under our own names, and none is larger than a version's are.

    Args:
        versions: where they are added.
        file: the archive.
        only: the one version of it that is meant; None is all.

    Returns:
        The number that each had in the archive, and what it is here.

    Raises:
        UserError: if the archive or a version is damaged, or another model's: none is added.
        OSError: if they cannot be written.
    """
    with tempfile.TemporaryDirectory() as name:
        try:
            with _opening(file):
                numbers = _unpack(file, Path(name), only)
            theirs = Versions(Path(name), versions.model, _ignore)
            read = [(theirs.read(number), theirs.load(number)) for number in numbers]
        except UserError as error:
            raise UserError(str(error).replace(name, str(file))) from None
    return [(version.number, _add(versions, version, predictor)) for version, predictor in read]


def _add(versions: Versions, version: Version, predictor: LengthPredictor) -> Version:
    while True:
        ours = replace(version, number=versions.next_number(), judged=None, acted=None)
        # A learner that runs may have taken the number meanwhile.
        with suppress(FileExistsError):
            versions.save(ours, predictor)
            return ours


@contextmanager
def _opening(file: Path) -> Iterator[None]:
    """Turn whatever a damaged, encrypted or otherwise packed archive raises into a UserError."""
    with reading(file):
        try:
            yield
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
            raise ValueError(error) from None


def _unpack(file: Path, folder: Path, only: int | None) -> list[int]:
    """Write the archive's versions below a folder; their numbers."""
    numbers = set()
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            named = _MEMBER.fullmatch(member.filename)
            if named is None or named[2] not in _FILES:
                continue
            number = int(named[1])
            if only not in (None, number):
                continue
            numbers.add(number)
            if len(numbers) > _MOST:
                raise UserError(f"{file} holds more than {_MOST} versions")
            if member.file_size > _FILES[named[2]]:
                raise UserError(f"{file}: {member.filename} is larger than a version's can be")
            target = folder_of(folder, number) / named[2]
            target.parent.mkdir(exist_ok=True)
            # What is read is never more than the size that was looked at.
            with archive.open(member) as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
    if not numbers:
        raise UserError(f"{file} holds no version" + ("" if only is None else f" {only}"))
    return sorted(numbers)


def _ignore(line: str) -> None:
    """What is skipped is raised as well."""
