"""Requests as sequences of slices: cut on the way in, one uninterrupted output on the way out."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from lengthwise.core.slices import slice_end
from lengthwise.vllm.piece import Slice, drop_facts

logger = logging.getLogger("vllm.lengthwise")

_LENGTH = "length"
"""How vLLM's finish reason reads when a request had all its ``max_tokens``."""

_WHOLE = ("structured_outputs", "thinking_token_budget", "trace_decode_token_ids")
"""Sampling parameters whose state the engine could not take up where a slice ended."""

_OF_PROMPTS = ("prompt_logprobs", "prompt_logprob_token_ids")
"""Sampling parameters that ask for scores of the prompt, which come once."""

_WATERMARKING = "watermarking"
"""Another such parameter, on in vLLM 0.31 unless a client says no: it only says whether the
engine's watermark, if it has one, is for this request."""


@dataclass
class _Open:
    """A request as its client sent it, and the tokens of its slices so far."""

    request: Any
    generated: list[int] = field(default_factory=list)
    slices: int = 0


class Stitcher:
    """Stands between vLLM's output processor, which sees requests, and its engine core.

    The output processor detokenises, looks for stop strings, keeps logprobs and counts, once
    for a whole answer: it is handed the tokens of all slices as those of one request. All
    slices carry their request's id. Neither this class nor what it sends reads a length.

    Args:
        most: tokens of a slice (SCLS's S).
        block: tokens of a block of the KV cache; 1 to end slices anywhere.
        longest: most tokens of prompt and answer together, asked anew each time.
        watermarks: whether the engine has a watermark.

    Raises:
        ValueError: if a slice would have no token.
    """

    def __init__(
        self, most: int, block: int, longest: Callable[[], int], watermarks: bool = False
    ) -> None:
        if most < 1:
            raise ValueError(f"a slice has at least one token, not {most}")
        self._most, self._block, self._longest = most, block, longest
        self._whole = (*_WHOLE, _WATERMARKING) if watermarks else _WHOLE
        self._open: dict[str, _Open] = {}
        self._told: set[str] = set()

    def first(self, request: Any) -> Any:
        """An arriving request's first slice, or the request itself if it cannot be sliced."""
        obstacle = _obstacle(request, self._whole)
        if obstacle is not None:
            self._tell(obstacle)
            drop_facts(request)
            return request
        self._open[request.request_id] = _Open(request)
        return self.following(request.request_id)

    def following(self, request_id: str) -> Any | None:
        """The next slice of a request; None if it is gone."""
        it = self._open.get(request_id)
        if it is None:
            return None
        params = it.request.sampling_params
        done = len(it.generated)
        end = slice_end(len(it.request.prompt_token_ids), done, self._most, self._block)
        it.slices += 1
        piece = copy.copy(it.request)
        piece.sampling_params = copy.copy(params)
        piece.sampling_params.max_tokens = min(end, params.max_tokens)
        facts = Slice(list(it.generated), params.max_tokens)
        piece.sampling_params.extra_args = facts.extra_args(params.extra_args)
        if done and any(getattr(params, name) is not None for name in _OF_PROMPTS):
            # They were the first slice's; for their sake vLLM left out the prefix cache.
            for name in (*_OF_PROMPTS, "skip_reading_prefix_cache"):
                setattr(piece.sampling_params, name, None)
        return piece

    def take(self, outputs: Iterable[Any]) -> list[str]:
        """Make slices' outputs their requests'; ids of those that need another slice."""
        going_on = []
        for output in outputs:
            it = self._open.get(output.request_id)
            if it is None:
                continue
            it.generated.extend(output.new_token_ids)
            if it.slices > 1:
                # Queued, scheduled: the client's request was long before.
                output.events = None
            if output.finish_reason is None:
                continue
            if self._goes_on(it, output):
                output.finish_reason = None
                going_on.append(output.request_id)
            else:
                del self._open[output.request_id]
        return going_on

    def forget(self, request_ids: Iterable[str]) -> None:
        """Requests were aborted."""
        for request_id in request_ids:
            self._open.pop(request_id, None)

    def __len__(self) -> int:
        """Requests with slices still to come or under way."""
        return len(self._open)

    def _goes_on(self, it: _Open, output: Any) -> bool:
        done = len(it.generated)
        return (
            str(output.finish_reason) == _LENGTH
            and done < it.request.sampling_params.max_tokens
            and len(it.request.prompt_token_ids) + done < self._longest()
        )

    def _tell(self, obstacle: str) -> None:
        if obstacle not in self._told:
            self._told.add(obstacle)
            logger.warning("lengthwise serves requests with %s whole, not in slices", obstacle)


def _obstacle(request: Any, whole: Iterable[str]) -> str | None:
    """What keeps a request from being sliced, as the log names it."""
    params = request.sampling_params
    if params is None:
        return "pooling"
    if request.prompt_token_ids is None or request.prompt_embeds is not None:
        return "prompt embeddings"
    if request.mm_features:
        return "multi-modal inputs"
    if request.resumable:
        return "streaming input"
    return next((name for name in whole if getattr(params, name)), None)
