"""The simulator's word on a new version: would it serve the requests of late any better?"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from lengthwise.core.arrays import Floats
from lengthwise.policies import make_policy
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors.base import Predictor
from lengthwise.sim.setup import Outcome, Setup
from lengthwise.sim.steps import StepTime
from lengthwise.workload.workload import Workload

_PRESSED = 1.05
"""Load at which the requests are served again, if they came more slowly, and then all at once:
who waits for nobody is ordered by nobody, and the next busy hour comes."""

_SEATFULS = 8
"""Requests to a seat in a trial: fewer would find a seat at once."""

_LEAST, _MOST = 500, 4000
"""Fewest requests in a trial, for a p99 that is not one request's, and the most."""

_LESS = 0.99
"""Mean latency, as a ratio, from which on a version lowers it."""

_SAME = 1.005
"""Mean latency, as a ratio, up to which it is not raised."""

_TAIL = 1.10
"""p99 of the latencies, as a ratio, up to which the tail is kept. ``lengthwise`` itself bounds the
longest wait, whatever is predicted; who chooses a policy that does nothing without predictions has
chosen its tail too."""


@dataclass(frozen=True)
class Served:
    """The same requests served at one load, by the new version and by what acts.

    Attributes:
        load: work that arrives, as a share of what the engine can do; infinite for a burst.
        mean, p99: of the latencies, new to now.
    """

    load: float
    mean: float
    p99: float

    def __str__(self) -> str:
        at = f"at load {self.load:.2f}" if math.isfinite(self.load) else "in a burst"
        return f"mean {self.mean:.2f}, p99 {self.p99:.2f} {at}"


@dataclass(frozen=True)
class Verdict:
    """What trials at several loads say.

    Attributes:
        served: the trials, as the requests came first.
        tail: p99, new to now, that is too much.
    """

    served: tuple[Served, ...]
    tail: float = _TAIL

    @property
    def harmless(self) -> bool:
        """Whether no trial raises the mean or the tail."""
        return all(each.mean <= _SAME and each.p99 <= self.tail for each in self.served)

    @property
    def good(self) -> bool:
        """Whether it is harmless and lowers the mean of some trial."""
        return self.harmless and any(each.mean <= _LESS for each in self.served)

    def __str__(self) -> str:
        return "; ".join(map(str, self.served))


@dataclass(frozen=True)
class Trials:
    """Serves requests of late in the simulator.

    Args:
        policy: name of the policy.
        steps: the engine's speed.
        setup: its seats and memory.
    """

    policy: str
    steps: StepTime
    setup: Setup

    def verdict(self, requests: Workload, new: Predictor, now: Predictor) -> Verdict:
        """Serve the requests as they came, if the engine was not busy then faster, and at once."""
        many = repeated(requests, max(min(_SEATFULS * self.setup.seats, _MOST), _LEAST))
        seconds = self._serve(replace(many, arrival=np.zeros(len(many))), now).finish
        load = float(np.nanmax(seconds)) / max(_span(many), 1e-9)
        loads = [load, *([] if load >= _PRESSED else [_PRESSED]), math.inf]
        served = tuple(self._compare(many, load, each, new, now) for each in loads)
        return Verdict(served, math.inf if make_policy(self.policy).needs_predictions else _TAIL)

    def _compare(
        self, many: Workload, came: float, load: float, new: Predictor, now: Predictor
    ) -> Served:
        at = replace(many, arrival=many.arrival * (came / load))
        found = [latencies(at, self._serve(at, predictor)) for predictor in (new, now)]
        (mean, p99), (before, tail) = ((each.mean(), np.quantile(each, 0.99)) for each in found)
        return Served(load, float(mean / before), float(p99 / tail))

    def _serve(self, requests: Workload, predictor: Predictor) -> Outcome:
        policy = make_policy(self.policy)
        return Simulator(requests, policy, predictor, self.steps, self.setup).run()


def latencies(requests: Workload, outcome: Outcome) -> Floats:
    """Seconds from arrival to the last token, of those that the engine could hold."""
    found = outcome.finish - requests.arrival
    there: Floats = found[~np.isnan(found)]
    return there


def repeated(requests: Workload, least: int) -> Workload:
    """The requests again and again, until there are enough.

    The times of each round are those of the first; who comes when is drawn anew, so that no
    one order of arrival decides.
    """
    n = len(requests)
    rounds = max(-(-least // n), 1)
    period = requests.arrival[-1] * n / max(n - 1, 1)
    rng = np.random.default_rng(0)
    who = np.concatenate([np.arange(n), *(rng.permutation(n) for _ in range(rounds - 1))])
    return Workload(
        np.concatenate([requests.arrival + period * i for i in range(rounds)]),
        requests.prompt[who],
        requests.output[who],
        requests.prefix[who],
        id=tuple(requests.id[i] for i in who) if requests.id else (),
    )


def _span(requests: Workload) -> float:
    return float(requests.arrival[-1] - requests.arrival[0])
