"""The M/G/1 queue in closed form: FCFS, PSJF and TRAIL's SPRPT with limited preemption.

One server works at speed 1; jobs arrive at random at a rate λ with independent pairs of
true size X and prediction R. The rank of a job falls while it is served, so the SOAP
analysis applies (Scully, Harchol-Balter and Scheller-Wolf 2018): a job first waits out
the work ahead of its rank, then its service is stretched by the arrivals that overtake.
Throughout, load(r) = λ E[X; R < r] is the load of the jobs predicted below r.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import NamedTuple

import numpy as np

from lengthwise.theory.joint import Joint, Pairs
from lengthwise.theory.perfect import PerfectPredictions
from lengthwise.theory.quadrature import Floats, Integral
from lengthwise.theory.sizes import SizeLaw


class Means(NamedTuple):
    """Long-run means of a queue.

    Attributes:
        response: time from arrival to completion, in units of work (the server's speed is 1).
        preemptions: times a job is preempted.
        memory: sum of the ages of all jobs in the system, in units of work; what the KV
            cache holds for their outputs.
    """

    response: float
    preemptions: float
    memory: float


def offered_load(rate: float, joint: Joint) -> float:
    """Share of the time that the server is busy, λ E[X].

    Raises:
        ValueError: if it isn't above 0 and below 1, to the accuracy of the moments.
    """
    load = rate * joint.moment(1)
    if not 0 < load < 1 - 1e-6:
        raise ValueError(f"the load must be above 0 and below 1, not {load:.6g}")
    return load


class MG1(ABC):
    """A stable M/G/1 queue under one discipline.

    Args:
        rate: arrivals in a unit of time, λ.
        joint: the law of size and prediction.

    Raises:
        ValueError: if the rate is not positive or the load λ E[X] not below 1.
    """

    cutoff = 0.0
    """Where the discipline has a kink: at age cutoff · R."""

    def __init__(self, rate: float, joint: Joint) -> None:
        offered_load(rate, joint)
        self.rate = rate
        self.joint = joint

    @abstractmethod
    def waiting(self, r: Floats) -> Floats:
        """Mean time to first service of jobs predicted ``r``, [n] -> [n]."""

    @abstractmethod
    def residence(self, x: Floats, r: Floats) -> Floats:
        """Mean time from first service to completion, by size and prediction, [n]."""

    @abstractmethod
    def preemptions(self, x: Floats, r: Floats) -> Floats:
        """Mean number of preemptions of a job, by size and prediction, [n]."""

    @abstractmethod
    def held(self, x: Floats, r: Floats) -> Floats:
        """Mean integral of a job's age over its time in the system (work · time), [n]."""

    def response(self, x: Floats, r: Floats) -> Floats:
        """E[T(x, r)], mean response time by size and prediction, [n]."""
        return self.waiting(r) + self.residence(x, r)

    def response_of_size(self, size: float) -> float:
        """E[T(x)], mean response time of the jobs of one true size.

        Raises:
            ValueError: if the law has no job of that size.
        """
        return self._mean_response(self.joint.given(size, self.cutoff))

    @cached_property
    def means(self) -> Means:
        """Means over all jobs."""
        pairs = self.joint.pairs(self.cutoff)
        x, r, _ = pairs
        return Means(
            self._mean_response(pairs),
            pairs.mean(self.preemptions(x, r)),
            # Little's law for a cost: mean rate of cost = arrival rate x cost of a job.
            self.rate * pairs.mean(self.held(x, r)),
        )

    def _mean_response(self, pairs: Pairs) -> float:
        # Waiting depends on the prediction alone, and many pairs share one.
        x, r, _ = pairs
        distinct, which = np.unique(r, return_inverse=True)
        return pairs.mean(self.waiting(distinct)[which] + self.residence(x, r))

    def _stretch(self, r: Floats) -> Floats:
        """1 / (1 - load(r)): time that a unit of service takes at predicted remaining ``r``."""
        stretch: Floats = 1 / (1 - self.rate * self.joint.below(r, 1))
        return stretch

    def _wait_behind(self, r: Floats, ahead: Floats) -> Floats:
        """Mean wait behind old jobs with E[S²] = ``ahead``; equal ranks go by arrival."""
        tied: Floats = 1 - self.rate * self.joint.upto(r, 1)
        return self.rate / 2 * ahead / tied * self._stretch(r)


class FCFS(MG1):
    """First come, first served: the formula of Pollaczek and Khinchine."""

    def waiting(self, r: Floats) -> Floats:
        first, second = self.joint.moment(1), self.joint.moment(2)
        return np.full_like(r, self.rate * second / 2 / (1 - self.rate * first))

    def residence(self, x: Floats, r: Floats) -> Floats:
        return x

    def preemptions(self, x: Floats, r: Floats) -> Floats:
        return np.zeros_like(x)

    def held(self, x: Floats, r: Floats) -> Floats:
        return x**2 / 2


class PSJF(MG1):
    """Preemptive shortest predicted job first: the rank is R at every age."""

    def waiting(self, r: Floats) -> Floats:
        return self._wait_behind(r, self.joint.upto(r, 2))

    def residence(self, x: Floats, r: Floats) -> Floats:
        return x * self._stretch(r)

    def preemptions(self, x: Floats, r: Floats) -> Floats:
        return self.rate * x * self.joint.below(r, 0)

    def held(self, x: Floats, r: Floats) -> Floats:
        return x**2 / 2 * self._stretch(r)


class LimitedSPRPT(MG1):
    """TRAIL: shortest predicted remaining first, preemptible only below age C · R.

    The closed form of arXiv 2410.01035 with every job's *own* cutoff.

    Args:
        c: TRAIL's C in [0, 1]; 1 is SPRPT, 0 is SPJF.

    Raises:
        ValueError: if ``c`` is outside [0, 1], or the load is not between 0 and 1.
    """

    def __init__(self, rate: float, joint: Joint, c: float) -> None:
        if not 0 <= c <= 1:
            raise ValueError(f"TRAIL's C must be between 0 and 1, not {c}")
        super().__init__(rate, joint)
        self.cutoff = c

    def waiting(self, r: Floats) -> Floats:
        return self._wait_behind(r, self.joint.outstanding(r, self.cutoff))

    def residence(self, x: Floats, r: Floats) -> Floats:
        served = self._served(x, r)
        return self._time(r) - self._time(r - served) + (x - served)

    def preemptions(self, x: Floats, r: Floats) -> Floats:
        # Of the arrivals during a unit of service, those predicted below the remainder.
        overtaking = self._smaller(r) - self._smaller(r - self._served(x, r))
        return self.rate * overtaking

    def held(self, x: Floats, r: Floats) -> Floats:
        # Age r - z while the predicted remaining is z; a job that waits for its first
        # service has age 0, and one past its cutoff is served without a break.
        served = self._served(x, r)
        end = r - served
        interrupted = r * (self._time(r) - self._time(end)) - (
            self._weighted_time(r) - self._weighted_time(end)
        )
        return interrupted + (x**2 - served**2) / 2

    def _served(self, x: Floats, r: Floats) -> Floats:
        """Service while preemptible."""
        return np.minimum(x, self.cutoff * r)

    @cached_property
    def _time(self) -> Integral:
        """z -> time to bring the predicted remaining from z down to 0."""
        return Integral(self._stretch, self.joint.knots)

    @cached_property
    def _weighted_time(self) -> Integral:
        return Integral(lambda z: z * self._stretch(z), self.joint.knots)

    @cached_property
    def _smaller(self) -> Integral:
        return Integral(lambda z: self.joint.below(z, 0), self.joint.knots)


def spjf(rate: float, joint: Joint) -> LimitedSPRPT:
    """Shortest predicted job first, non-preemptive (C = 0)."""
    return LimitedSPRPT(rate, joint, 0.0)


def sprpt(rate: float, joint: Joint) -> LimitedSPRPT:
    """Shortest predicted remaining processing time, Mitzenmacher 2019 (C = 1)."""
    return LimitedSPRPT(rate, joint, 1.0)


def srpt(rate: float, sizes: SizeLaw) -> LimitedSPRPT:
    """Shortest remaining processing time, Schrage and Miller 1966 (C = 1, perfect predictions)."""
    return LimitedSPRPT(rate, PerfectPredictions(sizes), 1.0)
