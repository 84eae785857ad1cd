"""A file as it lies on disk: unpacked, and told by its content what it is."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import polars as pl
from polars.exceptions import PolarsError

from lengthwise.errors import UserError, reading
from lengthwise.traces.csv_rows import csv_table
from lengthwise.traces.json_rows import NONE, document_of, json_lines, records_table, rows_of
from lengthwise.traces.parquet_rows import MAGIC, parquet_table
from lengthwise.traces.table import Table

Kind = Literal["parquet", "json", "text"]

_HEAD = 1 << 16
"""Bytes of a text file by which formats of log lines are told."""


@dataclass(frozen=True, eq=False)
class File:
    """A file of requests, unpacked.

    Attributes:
        path: where it lies.
        what: what it is called in messages: ``workload trace.csv``.
        data: its content, unpacked, UTF-8 without a byte order mark if it is text.
    """

    path: Path
    what: str
    data: bytes

    @classmethod
    def open(cls, path: Path, what: str, advice: str = "") -> File:
        """Read and unpack a file: gzip (of any number of members), zstd, bzip2, xz or none.

        Raises:
            UserError: if it is missing or damaged, or an archive of other files.
        """
        with reading(f"{what} {path}", advice):
            try:
                return cls(path, f"{what} {path}", _text(_unpacked(path.read_bytes())))
            except (PolarsError, lzma.LZMAError) as error:
                raise ValueError(str(error)) from None

    @cached_property
    def kind(self) -> Kind:
        """What the first bytes are: the magic of parquet or Arrow, a bracket, or other text."""
        if self.data.startswith(MAGIC):
            return "parquet"
        return "json" if self.data[:_HEAD].lstrip()[:1] in (b"{", b"[") else "text"

    @cached_property
    def empty(self) -> bool:
        """Whether it holds nothing but space."""
        return not self.data[:_HEAD].strip() and not self.data.strip()

    @cached_property
    def head(self) -> str:
        """The first 64 KiB as text; empty for parquet."""
        if self.kind == "parquet":
            return ""
        return self.data[:_HEAD].decode("utf-8", errors="replace")

    @cached_property
    def document(self) -> Any:
        """The file's one JSON value, or ``NONE`` if it is no such file."""
        return document_of(self.data) if self.kind == "json" else NONE

    @cached_property
    def table(self) -> Table:
        """The file's rows.

        Raises:
            UserError: if a line cannot be read; names it.
        """
        if self.kind == "parquet":
            return parquet_table(self.what, self.data)
        if self.kind == "text":
            return csv_table(self.what, self.data)
        if self.document is NONE:
            return json_lines(self.what, self.data)
        return records_table(self.what, rows_of(self.document))


def _zstd(data: bytes) -> bytes:
    lines = pl.read_lines(data).to_series()
    return "\n".join(lines.to_list()).encode()


_PACKED: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", gzip.decompress),
    (b"\x28\xb5\x2f\xfd", _zstd),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ\x00", lzma.decompress),
)
"""First bytes of a packed file, and what unpacks it."""

_REFUSED = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook: unpack it, or save the sheet as CSV",
    b"SQLite format 3": "an SQLite data base: export the table as CSV",
    b"version https://git-lfs": "a pointer of Git LFS, not the file: git lfs pull fetches it",
}


def _unpacked(data: bytes) -> bytes:
    for magic, unpack in _PACKED:
        if data.startswith(magic):
            return unpack(data)
    for magic, what in _REFUSED.items():
        if data.startswith(magic):
            raise UserError(f"this is {what}")
    return data


def _text(data: bytes) -> bytes:
    """Without the byte order mark; UTF-16, as spreadsheets write it, becomes UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16").encode()
    # Without a mark no copy is made: the file may have gigabytes.
    return data[len(codecs.BOM_UTF8) :] if data.startswith(codecs.BOM_UTF8) else data
