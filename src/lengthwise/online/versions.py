"""Versions of a predictor on disk: written whole or not at all, the newest is found again."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

from lengthwise.errors import UserError
from lengthwise.predictors.base import PromptPredictor

KEPT = 5
"""Versions kept; older ones are deleted."""

_NAME = re.compile(r"version-(\d{6,})")


def numbers(folder: Path) -> list[int]:
    """Versions in a folder, oldest first."""
    if not folder.is_dir():
        return []
    found = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


def save(
    folder: Path, number: int, predictor: PromptPredictor, model: str, report: dict[str, Any]
) -> None:
    """Write a version beside, then rename it: a folder that exists is complete.

    Each is a folder of trained predictors, which ``--predictor`` takes as well. ``model`` is the
    served model's fingerprint.
    """
    from lengthwise.predictors.store import Trained

    target = folder / _name(number)
    beside = folder / f".{target.name}.partial"
    shutil.rmtree(beside, ignore_errors=True)
    Trained(model, None, predictor, report).save(beside)
    beside.rename(target)
    for old in numbers(folder)[:-KEPT]:
        shutil.rmtree(folder / _name(old), ignore_errors=True)


def newest(folder: Path, model: str, kind: str) -> tuple[int, PromptPredictor] | None:
    """The newest version of that kind of predictor that can be read, and its number.

    Damaged ones, and those of other models or kinds, are passed over.
    """
    from lengthwise.predictors.store import load_prompt_predictor

    for number in reversed(numbers(folder)):
        try:
            found = load_prompt_predictor(str(folder / _name(number)), model)
        except UserError:
            continue
        if found.name == kind:
            return number, found
    return None


def _name(number: int) -> str:
    return f"version-{number:06}"
