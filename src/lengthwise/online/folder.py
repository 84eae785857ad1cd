"""Where what is learned for a served model is kept, and how its files are written."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path

from lengthwise.errors import UserError
from lengthwise.models.fingerprint import identity

PRIVATE = 0o700
"""Mode of the folder: it holds the token ids of users' prompts."""


def learned_folder(model: str, folder: str | None = None) -> Path:
    """The folder that is given, or the one for this model in lengthwise's cache.

    The cache is ``$LENGTHWISE_CACHE``, or ``lengthwise`` in the user's cache folder
    (``$XDG_CACHE_HOME``, ``~/.cache``). Nothing is made yet.

    Raises:
        UserError: if the user has no home folder and no variable names another.
    """
    if folder is not None:
        return Path(folder)
    # The model type in it is whatever the model's config.json says.
    return _cache() / "learned" / re.sub(r"[^\w.-]", "_", identity(model))


def rank_folder(model: str, folder: str | None, rank: int) -> Path:
    """The same of one of several engines of data parallelism; the first has that of a single one.

    Raises:
        UserError: as :func:`learned_folder`.
    """
    found = learned_folder(model, folder)
    return found / f"rank-{rank}" if rank else found


def _cache() -> Path:
    if named := os.environ.get("LENGTHWISE_CACHE"):
        return Path(named)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return Path(caches) / "lengthwise"
    try:
        return Path.home() / ".cache" / "lengthwise"
    except RuntimeError:
        raise UserError("there is no home folder: set LENGTHWISE_CACHE to a folder") from None


def usable(folder: Path) -> str | None:
    """Make the folder and try to write into it; the reason if that cannot be done."""
    try:
        make(folder)
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(b"x")
    except OSError as error:
        return f"{folder}: {error.strerror or error}"
    return None


def make(folder: Path) -> None:
    """Make the folder, for this user alone; one that is there stays as it is."""
    folder.mkdir(mode=PRIVATE, parents=True, exist_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside and rename it: readers see the old content or all of the new."""
    make(path.parent)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise
