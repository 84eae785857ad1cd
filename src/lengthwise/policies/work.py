"""The work of a request: the tokens of its prompt, and what its answer costs the engine."""

from __future__ import annotations

from dataclasses import dataclass

from lengthwise.core.request import Request


@dataclass(frozen=True)
class Capacity:
    """What bounds an engine's batch, as far as work depends on it.

    Attributes:
        seats: most requests in a step.
        kv_tokens: tokens that the KV cache holds; 0 if the engine has no such bound.
    """

    seats: int = 1
    kv_tokens: int = 0

    def work(self, request: Request, answer: float) -> float:
        """Work in tokens of a request's prompt and the answer that is expected of it.

        A token of the answer occupies a seat for a step, as long as a token of a prompt takes
        when the seats are full. A request that on average holds more KV memory than a seat's
        share keeps other seats empty, and costs as many more times as much. Cached tokens need
        not be computed, but they are held.
        """
        share = 1.0
        if self.kv_tokens > 0:
            share = max(share, (request.prompt_tokens + answer / 2) * self.seats / self.kv_tokens)
        return request.uncached_tokens + answer * share
