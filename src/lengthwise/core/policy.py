"""The one shape of every scheduling policy."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Literal

from lengthwise.core.request import Request

COMMITTED = -math.inf
"""Rank of a request that must run to completion: before everything else."""

UNPREDICTED = 0.0
"""Rank of a request without a prediction: in order of arrival, before the predicted
(whose ranks are at least 1), so that a failing predictor degrades to FCFS."""

AWAITED = 1e12
"""Rank of a request whose prediction is on its way: after the predicted, in order of arrival.
Were it before them, whoever is scored last would take the seats in a burst."""

Source = Literal["none", "prompt", "probe", "oracle"]


def unpredicted(request: Request) -> float:
    """Rank of a request without a prediction."""
    return AWAITED if request.awaited else UNPREDICTED


class Policy(ABC):
    """Says who goes first and who may be interrupted; knows no engine and no length.

    Attributes:
        name: what the command line calls it.
        source: the best prediction it uses: none, a prompt-only one, the probe's
            (with the prompt-only one until prefill), or the oracle's.
        preemptive: whether a seat may be taken from a running request at all.
            Engines skip the comparison for policies that never preempt.
        grouped: whether it admits in groups, and so must be asked for its :meth:`turn`.
        paused_per_seat: most requests to a seat that may be paused with their KV cache.
            Among thousands waiting some prompt always promises to be shorter than what
            runs; without a bound each would be prefilled, found longer, and paused in turn.
        threshold: engine steps without a token after which a request has starved and is
            promoted; infinite for never.
        quantum: tokens for which it then goes first.
        slice: most tokens served at a time, after which a request goes back to the pool and
            is ranked anew (:mod:`lengthwise.slices`); infinite for to its end.
    """

    name: str
    source: Source
    preemptive: bool
    grouped: bool = False
    paused_per_seat: float = 2
    threshold: float = math.inf
    quantum: int = 1
    slice: float = math.inf

    @abstractmethod
    def rank(self, request: Request) -> float:
        """The request's rank now; the smaller goes first, ties go by arrival."""

    def turn(self, now: float, best: Request, waiting: Iterable[Request]) -> bool:
        """Before admissions, at a time in seconds: whether it ranks the waiting anew.

        ``best`` is the first of them; who looks at it only costs nothing at most steps.
        """
        return False

    def preemptible(self, request: Request) -> bool:
        """Whether a running request may lose its seat to a better rank now."""
        return False

    def may_preempt(self, request: Request) -> bool:
        """Whether a waiting request may take a running one's seat."""
        return self.preemptive and (request.predicted or request.started)
