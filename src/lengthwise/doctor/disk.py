"""Room on the disk that a path will be on."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_mib(path: Path) -> float:
    """Free MiB where the path is, or will be."""
    there = path.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    return shutil.disk_usage(there).free / 2**20
