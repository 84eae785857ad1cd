"""Hashes of a prompt's blocks: how many tokens a block has, and which were seen before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lengthwise.core.arrays import Ints
from lengthwise.workload.workload import Tokens

_USUAL = (512, 16, 32, 64, 128, 256, 1024, 8, 24, 48, 96, 384, 4, 2048, 4096, 2, 1)
"""Sizes of blocks, the more usual first."""

_ENOUGH = 0.9
"""Share of the rows whose number of hashes a size must explain."""


@dataclass(frozen=True)
class Block:
    """Tokens in a block, and what that was worked out from; 0 if nothing fits."""

    tokens: int
    why: str


def block_of(prompt: Tokens, hashes: Ints) -> Block:
    """The block size at which n prompts have as many hashes as they have: ⌈prompt / block⌉.

    A size also fits if hashes are of full blocks only. Of several that fit as well, the more
    usual one is taken.

    Args:
        prompt: [n] tokens.
        hashes: [n] how many hashes.
    """
    some = hashes > 0
    prompt, hashes = prompt[some], hashes[some]
    if not len(prompt):
        return Block(0, "no hashes")
    exact = _between(prompt, hashes)
    sizes = [*_USUAL] if exact is None or exact in _USUAL else [*_USUAL, exact]
    for more, why in ((1, "⌈input / block⌉ hashes"), (0, "⌊input / block⌋ hashes")):
        fit = [float(((prompt + more * (size - 1)) // size == hashes).mean()) for size in sizes]
        best = int(np.argmax(fit))
        if fit[best] >= _ENOUGH:
            rows = "every row" if fit[best] == 1 else f"{fit[best]:.1%} of the rows"
            return Block(sizes[best], f"{rows} with {why}")
    return Block(0, "no block size gives as many hashes as the rows have")


def _between(prompt: Tokens, hashes: Ints) -> int | None:
    """The smallest whole number that fits all rows, if any does: for sizes nobody expects."""
    low = int((-(-prompt // hashes)).max())
    long = hashes > 1
    high = np.inf if not long.any() else float((prompt[long] / (hashes[long] - 1)).min())
    return low if low < high else None


def block_hashes(column: pl.Series) -> tuple[pl.Series, NDArray[np.bool_]]:
    """A column's lists of hashes, [n], and which rows have none.

    Lists may be written as JSON in a text. Hashes may be texts if all are.
    """
    written = column.dtype == pl.String
    if written:
        lists = column.str.strip_chars().str.contains(r"^\[[\s\d,-]*\]$").fill_null(False)
        text = pl.Series(column).zip_with(lists, pl.Series([None], dtype=pl.String))
        column = text.str.json_decode(pl.List(pl.Int64))
    if not isinstance(column.dtype, pl.List):
        return column, np.ones(len(column), dtype=bool)
    odd = column.is_null()
    if column.dtype.inner == pl.String:
        numeric = column.list.eval(pl.element().cast(pl.Int64, strict=False).is_not_null())
        every = numeric.list.all().fill_null(True)
        if every.sum() > len(every) / 2:
            odd |= ~every
    return column, odd.to_numpy()


def seen_before(hashes: pl.Series) -> Ints:
    """How many leading blocks of each prompt occur in a prompt above it, [n].

    Args:
        hashes: [n] lists, in order of arrival.
    """
    count = hashes.list.len().fill_null(0).to_numpy().astype(np.int64)
    flat = _numbered(hashes)
    row = np.repeat(np.arange(len(count), dtype=np.int32), count)
    first = np.zeros(int(flat.max()) + 1 if len(flat) else 0, dtype=np.int32)
    # Of writes to one place the last stays: backwards, the first row that has the hash.
    first[flat[::-1]] = row[::-1]
    new = np.flatnonzero(first[flat] == row)
    # A row's known blocks end at its first new one, if it has any.
    start = np.cumsum(count) - count
    after = np.append(new, len(flat))[np.searchsorted(new, start)]
    known: Ints = np.minimum(after - start, count)
    return known


def _numbered(hashes: pl.Series) -> Ints:
    """All hashes in one array, as numbers without large gaps."""
    flat = hashes.explode(empty_as_null=False, keep_nulls=False)
    if flat.dtype.is_integer():
        numbers = flat.to_numpy()
        if len(numbers) and numbers.min() >= 0 and numbers.max() < 8 * len(numbers) + 1024:
            return numbers
    ranks: Ints = flat.rank("dense").to_numpy().astype(np.int64)
    return ranks
