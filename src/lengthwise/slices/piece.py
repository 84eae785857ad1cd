"""One slice of a request: where it ends, and what it tells the engine that serves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEY = "lengthwise_slice"
"""Where a slice's facts travel: a key of vLLM's ``SamplingParams.extra_args``."""


@dataclass(frozen=True)
class Slice:
    """What a slice knows of its request beside prompt and sampling parameters.

    Attributes:
        generated: token ids of the earlier slices; empty for the first.
        max_tokens: the request's own, of which a slice's are a part.
    """

    generated: list[int]
    max_tokens: int

    @classmethod
    def of(cls, params: Any) -> Slice | None:
        """The slice that sampling parameters describe; None for a whole request."""
        # vLLM's pooling requests have no sampling parameters.
        facts = None if params is None else (params.extra_args or {}).get(KEY)
        # A client's own extra arguments have strings, numbers and lists only.
        return cls(**facts) if isinstance(facts, dict) else None

    def extra_args(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """The client's own ``extra_args`` with this slice's facts in it."""
        facts = {"generated": self.generated, "max_tokens": self.max_tokens}
        return {**(given or {}), KEY: facts}


def max_tokens(request: Any) -> int:
    """What the client allowed a vLLM request, also where it is a slice."""
    piece = Slice.of(request.sampling_params)
    return int(request.max_tokens if piece is None else piece.max_tokens)


def slice_end(prompt: int, generated: int, most: int, block: int) -> int:
    """Tokens generated once the next slice ends: at most ``most`` further ones.

    It ends where a block of the KV cache is full, if one is filled within it. The last
    token has no entry in the cache yet, so the next slice then computes that token only,
    as every decode step does; anywhere else it computes the unfilled block again.
    """
    end = generated + most
    aligned = end - (prompt + end - 1) % block
    return aligned if aligned > generated else end
