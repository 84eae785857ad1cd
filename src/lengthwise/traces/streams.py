"""Bytes as lines: of files, plain or gzipped, and of what still grows."""

from __future__ import annotations

import gzip
import os
import select
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from lengthwise.errors import reading

LONGEST = 64 * 2**20
"""Bytes of a line; a longer one is dropped, for it would hold more than any context."""

TOO_LONG = b"\n"
"""Stands for a line that was dropped; no line is so."""

_PIECE = 2**18
_PAUSE = 0.2
"""Seconds between two looks at what grows, or at whether to stop."""

_GZIP = b"\x1f\x8b"

Stop = Callable[[], bool]
"""Whether to read no further."""


def opened(path: Path) -> Iterator[bytes]:
    """The pieces of a file, unpacked if it is gzipped, also in several members.

    Raises:
        UserError: if it cannot be read.
    """
    with reading(path), path.open("rb") as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        with gzip.open(file, "rb") if packed else file as content:
            while piece := content.read(_PIECE):
                yield piece


def head(path: Path) -> bytes:
    """The first bytes of a file, unpacked: what it is, is told by them.

    Raises:
        UserError: if it cannot be read.
    """
    return next(opened(path), b"")


def newest(paths: Sequence[Path]) -> float:
    """Seconds since 1970 at which the last of the files was written to.

    Raises:
        UserError: if there is no such file.
    """
    times = []
    for path in paths:
        with reading(path):
            times.append(path.stat().st_mtime)
    return max(times)


def split(pieces: Iterable[bytes], longest: int = LONGEST) -> Iterator[bytes]:
    """The lines of the pieces, without their ends; the last needs none.

    ``TOO_LONG`` stands for a line of more than ``longest`` bytes.
    """
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        *lines, rest = piece.split(b"\n")
        for line in lines:
            yield b"".join((*held, line)) if size + len(line) <= longest else TOO_LONG
            held, size = [], 0
        size += len(rest)
        held = [*held, rest] if size <= longest else []
    if size:
        yield b"".join(held) if size <= longest else TOO_LONG


def piped(file: int, stop: Stop) -> Iterator[bytes]:
    """The pieces of a pipe as they come, to its end; empty ones while nothing does.

    Args:
        file: its descriptor.
    """
    while not stop():
        ready, _, _ = select.select([file], [], [], _PAUSE)
        piece = os.read(file, _PIECE) if ready else b""
        if ready and not piece:
            return
        yield piece


def followed(path: Path, stop: Stop) -> Iterator[bytes]:
    """The pieces of a file as it grows, from its beginning, and of the file that takes its name.

    Raises:
        UserError: if it cannot be read.
    """
    with reading(path):
        file = os.open(path, os.O_RDONLY)
    try:
        while not stop():
            piece = os.read(file, _PIECE)
            yield piece
            if piece:
                continue
            time.sleep(_PAUSE)
            if (turned := _turned(path, file)) is not None:
                os.close(file)
                file = turned
                yield b"\n"
    finally:
        os.close(file)


def _turned(path: Path, file: int) -> int | None:
    """The new file, if the log was rotated; a file that was cut is read from its start."""
    try:
        now, before = path.stat(), os.fstat(file)
        if now.st_ino != before.st_ino or now.st_dev != before.st_dev:
            return os.open(path, os.O_RDONLY)
        if now.st_size < os.lseek(file, 0, os.SEEK_CUR):
            os.lseek(file, 0, os.SEEK_SET)
    except OSError:
        pass
    return None
