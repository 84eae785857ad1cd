"""Prompt tokens that a prefix cache held: stated, or told by the hashes of the prompts' blocks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from lengthwise.core.arrays import Floats, Ints
from lengthwise.traces.blocks import block_hashes, block_of, seen_before
from lengthwise.traces.fields import Fields
from lengthwise.traces.table import Table


@dataclass(frozen=True, eq=False)
class Prefix:
    """What a file says of cached prefixes.

    Attributes:
        prompt: [n] tokens.
        stated: [n] cached tokens, where a column has them.
        hashes: [n] lists, of the prompts' blocks.
        block: tokens in a block; 0 if there are none.
        found: how the size was found.
    """

    prompt: Ints
    stated: Ints | None = None
    hashes: pl.Series | None = None
    block: int = 0
    found: tuple[str, ...] = ()

    @classmethod
    def of(cls, fields: Fields, roles: dict[str, str], prompt: Ints, block: int | None) -> Prefix:
        """What the columns ``cached`` or ``hashes`` hold.

        Args:
            block: tokens in a block; None finds it out.
        """
        if "hashes" not in roles:
            return cls(prompt, fields.whole(roles["cached"]) if "cached" in roles else None)
        column = roles["hashes"]
        hashes, odd = block_hashes(fields.table.frame[column])
        fields.fault(odd, column, f"{column} is not a list of numbers")
        if odd.any():
            return cls(prompt)
        if block is not None:
            return cls(prompt, None, hashes, block)
        return cls(prompt, None, hashes, *_found(fields.table, prompt, hashes))

    def at(self, arrival: Floats | None) -> Ints:
        """Cached tokens of each prompt, [n]: whole blocks that an earlier one began with.

        Args:
            arrival: [n] seconds; None is the order of the rows.
        """
        if self.hashes is None:
            return np.zeros(len(self.prompt), np.int64) if self.stated is None else self.stated
        if arrival is None or bool((arrival[1:] >= arrival[:-1]).all()):
            return np.minimum(self.block * seen_before(self.hashes), self.prompt)
        order = np.argsort(arrival, kind="stable")
        cached = np.zeros(len(self.prompt), np.int64)
        seen = self.block * seen_before(self.hashes[order])
        cached[order] = np.minimum(seen, self.prompt[order])
        return cached


def _found(table: Table, prompt: Ints, hashes: pl.Series) -> tuple[int, tuple[str, ...]]:
    """The size of a block, and what it was found by."""
    column = table.find(["block_size"])
    sizes = [] if column is None else table.frame[column].unique().to_list()
    if len(sizes) == 1 and str(sizes[0]).isdecimal() and int(sizes[0]) > 0:
        return int(sizes[0]), (f"blocks of {sizes[0]} tokens: {column} says so",)
    told = block_of(prompt, hashes.list.len().to_numpy().astype(np.int64))
    if told.tokens:
        return told.tokens, (f"blocks of {told.tokens} tokens: {told.why}",)
    advice = "no prompt is taken as cached; --block N says the tokens of a block"
    return 0, (f"{told.why}: {advice}",)
