"""One slice of a request: where it ends, and the facts that travel with it to the engine."""

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
        if not isinstance(facts, dict) or facts.keys() != {"generated", "max_tokens"}:
            return None
        generated, most = facts["generated"], facts["max_tokens"]
        return cls(generated, most) if isinstance(generated, list) and type(most) is int else None

    def fits(self, request: Any, vocabulary: int, longest: int) -> bool:
        """Whether a vLLM request can be this slice: a client may have written the facts.

        Args:
            vocabulary: token ids of the model.
            longest: most tokens of prompt and answer together.
        """
        done = len(self.generated)
        return (
            done < request.max_tokens <= self.max_tokens
            and request.num_prompt_tokens + done < longest
            and all(type(token) is int and 0 <= token < vocabulary for token in self.generated)
        )

    def extra_args(self, given: Mapping[str, Any] | None) -> dict[str, Any]:
        """The client's own ``extra_args`` with this slice's facts in it."""
        facts = {"generated": self.generated, "max_tokens": self.max_tokens}
        return {**(given or {}), KEY: facts}


def drop_facts(request: Any) -> Any:
    """Remove what a request has where slices keep their facts; returns it, or None."""
    given = getattr(request.sampling_params, "extra_args", None)
    if not given or KEY not in given:
        return None
    request.sampling_params.extra_args = {k: v for k, v in given.items() if k != KEY}
    return given[KEY]


def max_tokens(request: Any) -> int:
    """What the client allowed a vLLM request, also where it is a slice."""
    piece = Slice.of(request.sampling_params)
    return int(request.max_tokens if piece is None else piece.max_tokens)


def output_bounds(request: Any) -> tuple[int, int]:
    """The least and the most output tokens that a vLLM request can end with.

    They are equal where nothing but the limit ends the answer.
    """
    most, params = max(max_tokens(request), 1), request.sampling_params
    if params is None:
        return 1, most
    if params.ignore_eos and not params.stop and not params.stop_token_ids:
        return most, most
    return min(max(params.min_tokens, 1), most), most
