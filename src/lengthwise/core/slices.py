"""Where a slice of a request ends."""

from __future__ import annotations


def slice_end(prompt: int, generated: int, most: int, block: int) -> int:
    """Tokens generated once the next slice ends: at most ``most`` further ones.

    It ends where a block of the KV cache is full, if one is filled within it. The last
    token has no entry in the cache yet, so the next slice then computes that token only,
    as every decode step does; anywhere else it computes the unfilled block again.
    """
    end = generated + most
    aligned = end - (prompt + end - 1) % block
    return aligned if aligned > generated else end
