"""What an engine held and did over time, rebuilt from when requests came, began and ended."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.workload.workload import Seconds

_INSTANT = 1e-4
"""Seconds before its end that what happens at once is spread over: sums are functions of time."""


@dataclass(frozen=True, eq=False)
class Course:
    """A sum over time: straight between ``times``, constant before and after.

    Attributes:
        times: [k] seconds, increasing.
        values: [k] the sum until then.
    """

    times: Seconds
    values: Floats

    @classmethod
    def of(cls, start: Seconds, end: Seconds, amount: Floats) -> Course:
        """Amounts [n] that are each spread evenly from ``start`` to ``end``, [n] seconds."""
        start = np.minimum(start, end - _INSTANT)
        # Far from 0 an instant is less than what a float can tell apart.
        slope = amount / np.maximum(end - start, _INSTANT / 2)
        times = np.concatenate([start, end])
        turns = np.concatenate([slope, -slope])
        order = np.argsort(times, kind="stable")
        times, turns = times[order], turns[order]
        steps = np.diff(times) * np.cumsum(turns)[:-1]
        return cls(times, np.concatenate([[0.0], np.cumsum(steps)]))

    def __call__(self, at: Seconds) -> Floats:
        """[m] the sum until each of these times."""
        found: Floats = np.interp(at, self.times, self.values)
        return found

    def within(self, start: Seconds, end: Seconds) -> Floats:
        """[m] what is added from ``start`` to ``end``."""
        return self(end) - self(start)

    def integral(self) -> Course:
        """The area below the sum until a time, straight between the turns."""
        middle = (self.values[1:] + self.values[:-1]) / 2
        area = np.concatenate([[0.0], np.cumsum(np.diff(self.times) * middle)])
        return Course(self.times, area)


def total(courses: Sequence[Course]) -> Course:
    """The sum of sums."""
    times = np.unique(np.concatenate([each.times for each in courses]))
    values = np.zeros(len(times))
    for each in courses:
        values += each(times)
    return Course(times, values)


def seated_at(arrival: Seconds, finish: Seconds, seats: int | None) -> Seconds:
    """[n] when requests got their seats under FCFS, in seconds; n in order of arrival.

    At once where a seat was free, else when one was given back: at one of the finishes.
    ``None`` seats are always free. A request that never finished holds no seat.
    """
    if seats is None:
        return arrival.copy()
    taken: list[float] = []
    last = 0.0
    seated = np.empty(len(arrival))
    for i, (came, left) in enumerate(zip(arrival.tolist(), finish.tolist(), strict=True)):
        last = max(last, came)
        while taken and taken[0] <= last:
            heapq.heappop(taken)
        while len(taken) >= seats:
            last = max(last, heapq.heappop(taken))
        seated[i] = last
        if left == left:
            heapq.heappush(taken, left)
    return seated


@dataclass(frozen=True, eq=False)
class Levels:
    """How many requests there were from each time to the next.

    Attributes:
        seconds: [k] how long.
        decoding: [k] requests between their first and their last token.
        waiting: [k] requests that had come and had no token yet.
        tokens: [k] tokens that the decoding ones had in the KV cache, in the middle.
    """

    seconds: Seconds
    decoding: Floats
    waiting: Floats
    tokens: Floats

    @classmethod
    def of(cls, arrival: Seconds, first: Seconds, finish: Seconds, context: Course) -> Levels:
        """From n requests with all three times."""
        times = np.concatenate([arrival, first, finish])
        one, none = np.ones(len(arrival)), np.zeros(len(arrival))
        order = np.argsort(times, kind="stable")
        decoding = np.cumsum(np.concatenate([none, one, -one])[order])[:-1]
        waiting = np.cumsum(np.concatenate([one, -one, none])[order])[:-1]
        times = times[order]
        seconds = np.diff(times)
        real = seconds > 0
        middle = (times[1:] + times[:-1]) / 2
        return cls(seconds[real], decoding[real], waiting[real], context(middle[real]))

    def share(self, flags: np.ndarray) -> float:
        """Share of the time; 0 of none."""
        total = float(self.seconds.sum())
        return float(self.seconds[flags].sum()) / total if total else 0.0
