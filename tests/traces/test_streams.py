"""Bytes as lines, of files and of what grows."""

from __future__ import annotations

import gzip
import os
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.errors import UserError
from lengthwise.traces.streams import TOO_LONG, followed, opened, piped, split


@given(st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_lines_do_not_depend_on_the_pieces(content: bytes, cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(content)]
    pieces = [content[begin:end] for begin, end in pairwise(at)]
    lines = content.split(b"\n")
    assert list(split(pieces)) == (lines if lines[-1] else lines[:-1])


def test_a_long_line_is_dropped_and_shown() -> None:
    pieces = [b"ab\n", b"0123", b"4567", b"89\ncd", b"\n0123456789", b"ab"]
    assert list(split(pieces, longest=5)) == [b"ab", TOO_LONG, b"cd", TOO_LONG]


def test_files_are_unpacked_by_their_content(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(gzip.compress(b"a\nb") + gzip.compress(b"c\n"))
    assert list(split(opened(file))) == [b"a", b"bc"]
    file.write_bytes(gzip.compress(b"abc" * 99)[:20])
    with pytest.raises(UserError, match="cannot be read"):
        list(opened(file))


def test_a_pipe_is_read_to_its_end() -> None:
    out, into = os.pipe()
    os.write(into, b"a\nb")
    os.close(into)
    assert list(split(piped(out, lambda: False))) == [b"a", b"b"]
    os.close(out)


def test_a_log_is_followed_through_its_rotation(tmp_path: Path) -> None:
    """More lines, then a new file under the name, then the same file cut to nothing."""
    log = tmp_path / "log"
    log.write_bytes(b"a\n")
    steps = iter(range(6))

    def stop() -> bool:
        match next(steps, None):
            case 1:
                with log.open("ab") as more:
                    more.write(b"b\nhalf")
            case 3:
                log.rename(tmp_path / "log.1")
                log.write_bytes(b"c\n")
            case None:
                return True
        return False

    assert list(split(followed(log, stop))) == [b"a", b"b", b"half", b"c"]
