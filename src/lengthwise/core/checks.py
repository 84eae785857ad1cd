"""Numbers and paths that a user gave, checked before anything slow starts."""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from lengthwise.errors import UserError


def at_least(least: int, **given: int | None) -> None:
    """Refuse numbers below ``least``, named as the command's flags are; None was not given.

    Raises:
        UserError: names the flag.
    """
    for name, value in given.items():
        if value is not None and value < least:
            raise UserError(f"{flag(name)} must be at least {least}, not {value}")


def positive(**given: float | None) -> None:
    """Refuse numbers that are not above 0 and finite; None was not given.

    Raises:
        UserError: names the flag.
    """
    for name, value in given.items():
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{flag(name)} must be above 0, not {value:g}")


def not_negative(**given: float | None) -> None:
    """Refuse numbers that are below 0 or not finite; None was not given.

    Raises:
        UserError: names the flag.
    """
    for name, value in given.items():
        if value is not None and not 0 <= value < math.inf:
            raise UserError(f"{flag(name)} must be 0 or more, not {value:g}")


def share(**given: float) -> None:
    """Refuse what is no share of a whole, from 0 to less than 1.

    Raises:
        UserError: names the flag.
    """
    for name, value in given.items():
        if not 0 <= value < 1:
            raise UserError(f"{flag(name)} must be from 0 to less than 1, not {value:g}")


def flag(name: str) -> str:
    """What the command line calls it: ``kv_blocks`` is ``--kv-blocks``."""
    return f"--{name.replace('_', '-')}"


def numbers(name: str, text: str) -> list[float]:
    """Numbers above 0, separated by commas.

    Raises:
        UserError: names the flag and what is not one.
    """
    return [_number(name, word, "numbers are like 0.5,2") for word in text.split(",")]


def rates(text: str, words: Mapping[str, float | None]) -> list[float | None]:
    """Requests per second, separated by commas; or words that stand for some.

    Raises:
        UserError: names what is neither.
    """
    advice = f"give numbers like 0.5,2, or {' or '.join(words)}"
    return [
        words[word] if word in words else _number("rates", word, advice) for word in text.split(",")
    ]


def _number(name: str, word: str, advice: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise UserError(f"{flag(name)}: {word!r} is not a number: {advice}") from None
    if not 0 < value < math.inf:
        raise UserError(f"{flag(name)} must be above 0, not {word}")
    return value


def folder_for(path: Path, name: str = "out") -> None:
    """Refuse a folder that cannot be made or written to; makes nothing yet.

    Raises:
        UserError: names the flag, and what is in the way.
    """
    there = path
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise UserError(f"{flag(name)} {path}: {there} is not a folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"{flag(name)} {path}: {there} is not writable")


def file_for(path: Path, name: str = "out") -> None:
    """Refuse a file that cannot be written.

    Raises:
        UserError: names the flag, and what is in the way.
    """
    folder_for(path.parent, name)
    if path.is_dir():
        raise UserError(f"{flag(name)} {path} is a folder: give a file")
    if path.exists() and not os.access(path, os.W_OK):
        raise UserError(f"{flag(name)} {path} is not writable")


def check_port(host: str, port: int) -> None:
    """Refuse a port that no server could listen on; 0 is any.

    Raises:
        UserError: says why.
    """
    if not 0 <= port <= 65535:
        raise UserError(f"--port must be a number up to 65535, not {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise UserError(f"port {port} cannot be used ({reason}): choose --port") from None
