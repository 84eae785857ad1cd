"""What was learned from users' requests, deleted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from lengthwise.online.orders import Orders
from lengthwise.online.versions import Versions

_OURS = (
    *("version-*", ".version-*.partial", "samples"),
    *("acting.json", "history.jsonl", "history.1.jsonl"),
)
"""All that a learner writes into its folder. What else is there is not ours."""


def forget(versions: Versions, number: int) -> None:
    """Delete a version; a server that runs must not act by it any more."""
    versions.order(versions.orders().bar(number))
    versions.delete(number)


def forget_all(folder: Path, model: str, tell: Callable[[str], object]) -> None:
    """Delete versions, samples and history, those of other data-parallel ranks too.

    The orders that are left bar what was there, for a server that runs.

    Args:
        folder, model, tell: as :class:`Versions` takes them.

    Raises:
        OSError: if something cannot be deleted.
    """
    versions = Versions(folder, model, tell)
    gone = {*versions.numbers(), *versions.acting().values(), versions.next_number() - 1}
    versions.order(Orders().bar(*gone - {0}))
    for pattern in _OURS:
        for path in folder.glob(pattern):
            _delete(path)
    for rank in ranks(folder):
        forget_all(rank, model, tell)


def ranks(folder: Path) -> list[Path]:
    """The folders of other data-parallel ranks, below that of the first."""
    return sorted(path for path in folder.glob("rank-[0-9]*") if path.is_dir())


def _delete(path: Path) -> None:
    # A learner that runs may delete it too.
    with suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
