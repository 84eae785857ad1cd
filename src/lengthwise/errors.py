"""What went wrong in the user's hands, in one line."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from safetensors import SafetensorError


class UserError(ValueError):
    """Bad input. The message says what is wrong and what to do; the command prints it
    as one line and exits with status 2."""


def refuse_unknown(given: Iterable[str], kind: Any, what: str) -> None:
    """Raises UserError if a name is no field of the dataclass ``kind``: an unknown ``what``."""
    known = {each.name for each in fields(kind)}
    unknown = sorted(set(given) - known)
    if unknown:
        choices = ", ".join(sorted(known))
        raise UserError(f"unknown {what} {unknown[0]!r}: choose from {choices}")


DAMAGE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(zlib.error, csv.Error, SafetensorError),
)
"""What reading a damaged file raises: the last three of the first row when it is valid JSON of
another shape."""


@contextmanager
def reading(what: object, advice: str = "") -> Iterator[None]:
    """Turn whatever a damaged or missing file raises in the block into a UserError."""
    try:
        yield
    except UserError:
        raise
    except DAMAGE as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        hint = f": {advice}" if advice else ""
        raise UserError(f"{what} cannot be read ({reason.splitlines()[0]}){hint}") from None
