"""Where a report goes: its file, and the folder of tables and charts beside it."""

from __future__ import annotations

from pathlib import Path

from lengthwise.core import checks
from lengthwise.errors import UserError


def check_file(file: Path | None, name: str = "report") -> None:
    """Refuse a file that no page can be written to, before anything slow starts; None is none.

    Raises:
        UserError: names the flag, and what is wrong with the file or the folder beside it.
    """
    if file is None:
        return
    if file.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"{checks.flag(name)} {file}: give a file that ends with .html")
    checks.file_for(file, name)
    checks.folder_for(beside(file), name)


def beside(file: Path) -> Path:
    """The folder of a page's tables and charts: ``report`` beside ``report.html``."""
    return file.with_suffix("")
