"""Which prompts an instance has probably cached: hashes of the blocks of those it was sent."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

_TEXT, _TOKENS = 256, 32
"""Bytes of text, and token ids, in a block."""

_BLOCKS = 512
"""Most blocks of one prompt that are looked at."""

_MOST, _TOKENS_A_BLOCK = 20_000, 48
"""Blocks remembered of an instance whose memory is unknown; tokens that a block stands for."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """A prompt's beginning, in blocks.

    Attributes:
        blocks: a hash of everything up to the end of each block, so that equal ones mean
            equal beginnings.
        share: the share of the prompt that a block is, from 0 to 1.
    """

    blocks: tuple[int, ...] = ()
    share: float = 0.0


NOTHING = Prefix()
"""Of a prompt that is unknown, or shorter than a block."""


def prefix_of(prompt: bytes | Sequence[int], salt: str = "") -> Prefix:
    """The blocks of a prompt: a text as bytes, or token ids.

    Args:
        salt: prompts of different salts share no cache, as under vLLM's ``cache_salt``.
    """
    size = _TEXT if isinstance(prompt, bytes) else _TOKENS
    count = min(len(prompt) // size, _BLOCKS)
    if not count:
        return NOTHING
    blocks, last = [], hash(salt)
    for i in range(count):
        part = prompt[i * size : (i + 1) * size]
        last = hash((last, part if isinstance(part, bytes) else tuple(part)))
        blocks.append(last)
    return Prefix(tuple(blocks), size / len(prompt))


class Prefixes:
    """Blocks that one instance has seen, the latest ones: an LRU, as its cache is one.

    Args:
        memory: tokens of its KV cache.
    """

    def __init__(self, memory: float) -> None:
        self._most = int(min(max(memory / _TOKENS_A_BLOCK, 64), _MOST))
        self._seen: OrderedDict[int, None] = OrderedDict()

    def add(self, prefix: Prefix) -> None:
        """A prompt goes there. Its last blocks are the first that are forgotten."""
        for block in reversed(prefix.blocks):
            self._seen[block] = None
            self._seen.move_to_end(block)
        while len(self._seen) > self._most:
            self._seen.popitem(last=False)

    def share(self, prefix: Prefix) -> float:
        """The share of a prompt that is probably cached there, from 0 to 1."""
        known = 0
        for block in prefix.blocks:
            if block not in self._seen:
                break
            known += 1
        return min(known * prefix.share, 1.0)
