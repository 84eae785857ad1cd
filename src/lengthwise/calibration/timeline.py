"""A log of requests that FCFS served: who sat when, and what each request's steps held."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from lengthwise.calibration.fitting import Sums
from lengthwise.calibration.occupancy import Course, Levels, seated_at, total
from lengthwise.core.arrays import Floats
from lengthwise.workload.workload import Seconds

_BESIDE = 100.0
"""Prompt tokens that take about as long as a step, for a first guess."""


@dataclass(frozen=True, eq=False)
class Timeline:
    """n requests in order of arrival, all of them finished.

    Attributes:
        arrival, first, finish: [n] seconds: came, first token (NaN: not known), last token.
        prompt: [n] prompt tokens that were computed.
        cached: [n] prompt tokens that a prefix cache held.
        output: [n] output tokens.
        seats: most requests in a step; None where seats were never short.
    """

    arrival: Seconds
    first: Seconds
    finish: Seconds
    prompt: Floats
    cached: Floats
    output: Floats
    seats: int | None = None

    @cached_property
    def seated(self) -> Seconds:
        """[n] when each got its seat; at the latest with its first token."""
        return np.minimum(seated_at(self.arrival, self.finish, self.seats), self.first)

    def guessed(self) -> Timeline:
        """With first tokens where none are known: a share of the time in the seat."""
        seated = np.minimum(seated_at(self.arrival, self.finish, self.seats), self.finish)
        own = 1.0 + self.prompt / _BESIDE
        share = own / (own + self.output - 1.0)
        return replace(self, first=seated + share * (self.finish - seated))

    def imputed(self, first: Seconds, finish: Seconds) -> Timeline:
        """With first tokens as late after the seats as in a simulated log, [n] seconds each."""
        seated = np.minimum(seated_at(self.arrival, self.finish, self.seats), self.finish)
        later = first - seated_at(self.arrival, finish, self.seats)
        one = (self.output == 1) | (seated + later > self.finish)
        return replace(self, first=np.where(one, self.finish, seated + np.maximum(later, 0.0)))

    def prefill(self, free: int = 0, budget: int = 2048) -> Course:
        """Prompt tokens computed until a time, of each step those beyond the first ``free``.

        Prompts are computed in order: each after the one before it had its first token. Those
        with the same first token were in the same step, or in several of ``budget`` tokens.
        """
        ends, place = np.unique(self.first, return_inverse=True)
        before = np.searchsorted(ends, self.first) - 1
        earlier = np.where(before >= 0, ends[np.maximum(before, 0)], -np.inf)
        start = np.minimum(np.maximum(self.seated, earlier), self.first)
        together = np.minimum(np.bincount(place, self.prompt)[place], budget)
        return Course.of(start, self.first, self.prompt * np.maximum(1.0 - free / together, 0.0))

    @cached_property
    def decoded(self) -> Course:
        """Tokens decoded until a time: all but the first of each request."""
        return Course.of(self.first, self.finish, self.output - 1.0)

    @cached_property
    def context(self) -> Course:
        """Tokens in the KV caches of the requests that have a first token, over time."""
        held = self.prompt + self.cached
        comes = Course.of(self.first, self.first, held)
        goes = Course.of(self.finish, self.finish, -(held + self.output - 1.0))
        return total([comes, self.decoded, goes])

    @cached_property
    def levels(self) -> Levels:
        """How many decoded and waited, over time."""
        return Levels.of(self.arrival, self.first, self.finish, self.context)

    def sums(self, free: int = 0, budget: int = 2048) -> Sums:
        """What the decode steps of each request with two tokens or more held: a window each.

        Args:
            free, budget: as in :meth:`prefill`.
        """
        steps = self.output - 1.0
        rows = (steps > 0) & (self.finish > self.first)
        start, end, steps = self.first[rows], self.finish[rows], steps[rows]
        seconds = end - start
        context = self.context.integral().within(start, end) / seconds * steps
        prefill = self.prefill(free, budget).within(start, end)
        return Sums(seconds, steps, prefill, self.decoded.within(start, end), context)
