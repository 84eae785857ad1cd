"""A folder belongs to one engine at a time, as long as that lives."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from lengthwise.online.folder import make

_LOCK = ".lock"


@dataclass(frozen=True)
class Claim:
    """A folder that this process has; the system frees it when the process ends.

    Attributes:
        folder: the folder.
        file: descriptor of the locked file in it.
    """

    folder: Path
    file: int

    def free(self) -> None:
        """Another engine may have it."""
        os.close(self.file)


def claim(folder: Path) -> Claim | None:
    """Have the folder, which is made; None if another engine has it.

    Raises:
        OSError: if it cannot be made or written to.
    """
    make(folder)
    file = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    except OSError:
        # Some network file systems know no locks: then nobody else is assumed.
        pass
    return Claim(folder, file)
