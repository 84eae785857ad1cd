"""HRRN by prompts: the highest response ratio next, as SGLang computes it."""

from __future__ import annotations

import math
from collections.abc import Hashable

from lengthwise.core.policy import Source
from lengthwise.core.request import Request
from lengthwise.policies.backlog import Clocked

_STEP = math.log(1.1)
"""Prompts are rounded to powers of 1.1, so that about 100 lanes hold all requests."""

_MOMENT = 1e-6
"""Least wait in tokens: of requests that have just arrived, the shortest prompt goes first."""


class PromptHRRN(Clocked):
    """The largest (wait + service) / service first; service is the prompt still to compute.

    SGLang's ``--schedule-policy hrrn`` (pull request 32911, 2026): the wait is counted in prompt
    tokens that the engine computed meanwhile, and what the prefix cache has costs nothing.
    Here a prompt's tokens count when it gets a seat. SGLang serves in order of arrival while
    more than 128 requests wait, to save the sorting; there is none to save here.
    """

    name = "hrrn-prompt"
    source: Source = "none"
    needs_predictions = False
    reads_cache = True

    def work(self, request: Request) -> float:
        return float(request.uncached_tokens)

    def waiting_rank(self, came: float, work: float) -> float:
        """The inverse ratio, from 0 to 1; the smallest goes first."""
        service = math.exp(_STEP * _bucket(work))
        wait = max(self._backlog.clock - came, 0.0) + _MOMENT
        return service / (wait + service)

    def waiting_lane(self, work: float) -> Hashable:
        return _bucket(work)


def _bucket(tokens: float) -> int:
    return round(math.log(tokens) / _STEP)
