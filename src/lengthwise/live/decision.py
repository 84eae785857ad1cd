"""One decision about one request, as logs, spans and the live page tell it."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal[
    "arrived", "admitted", "paused", "resumed", "evicted", "promoted", "finished", "aborted"
]
"""What became of the request. ``evicted``: it lost its KV cache and waits again. ``resumed``: it
was paused or evicted, and has a seat again."""

Reason = Literal["", "memory", "seat", "reset", "stop", "length", "abort", "error", "starved"]
"""Why. Evictions: for ``memory``, for a ``seat``, or by a ``reset`` of the prefix cache. Ends:
vLLM's finish reason. Empty where the kind says it all."""


class Decision(msgspec.Struct, frozen=True):
    """What the scheduler decided at one moment. It has no text of a prompt or an answer.

    Attributes:
        index: 1, 2, 3, ... for each decision of this engine.
        at: seconds since 1970.
        kind: what was decided.
        number: 1, 2, 3, ... by order of arrival at this engine; people read ``r17``.
        request: the engine's id of it.
        reason: why.
        winner: number of the request for which it was decided, if there is one.
        left: tokens that it is expected to need still; None if nobody knows.
        winner_left: the same of ``winner``.
        waited: seconds since its arrival.
        overtook: requests that arrived before it and still waited when it was admitted.
        overtaken: requests that arrived after it and were admitted before it, once it has a seat.
        recompute: tokens that have to be computed again because of it.
        prompt, tokens: tokens of its prompt, and of its answer so far.
        predicted: answer in tokens that was predicted first; None if nothing was.
        tenant, service: whose request it is, and of which service class; empty if unknown.
        ttft: seconds from arrival to the first token, of a request that finished.
    """

    index: int
    at: float
    kind: Kind
    number: int
    request: str
    reason: Reason = ""
    winner: int | None = None
    left: float | None = None
    winner_left: float | None = None
    waited: float = 0.0
    overtook: int = 0
    recompute: int = 0
    prompt: int = 0
    tokens: int = 0
    predicted: float | None = None
    tenant: str = ""
    service: str = ""
    ttft: float | None = None
    overtaken: int = 0
