"""What clients gain by expected lengths, or by lies: ``python -m lengthwise.studies.hints``.

Two tenants whose requests are drawn from the same laws share one simulated engine. Both send
what they expect of each answer; the first one is honest, the other one lies in some way. Each
is compared with the run in which nobody says anything, and the other one with the run in which
it alone says nothing. ``--believe-all`` shows what a server is open to that takes clients at
their word.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from lengthwise.core.arrays import Floats, Rng
from lengthwise.core.prediction import Prediction, point
from lengthwise.core.request import Request
from lengthwise.online.priors import Priors
from lengthwise.policies import make_policy
from lengthwise.results.tables import print_table
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import load_profile
from lengthwise.sim.traffic import Traffic
from lengthwise.workload import Workload, synthetic, with_arrivals

_NOISE = 0.5
"""Standard deviation of the logarithm by which honest clients are wrong."""

_LIES_FROM = 500
"""Requests of a tenant that is honest at first."""

HONEST, OTHER = "honest", "other"


class Said(NamedTuple):
    """What one tenant says of its requests: names [n], and expected tokens [n], NaN for nothing."""

    names: list[str]
    tokens: Floats


def _nothing(output: Floats, rng: Rng) -> Said:
    return Said([OTHER] * len(output), np.full(len(output), np.nan))


def _honestly(output: Floats, rng: Rng) -> Said:
    noise = rng.lognormal(0.0, _NOISE, len(output))
    return Said([OTHER] * len(output), np.maximum(output * noise, 1.0))


def _one(output: Floats, rng: Rng) -> Said:
    return Said([OTHER] * len(output), np.ones(len(output)))


def _reversed(output: Floats, rng: Rng) -> Said:
    return Said([OTHER] * len(output), np.maximum(np.median(output) ** 2 / output, 1.0))


def _tenth(output: Floats, rng: Rng) -> Said:
    """In the right order, but a tenth of it."""
    return Said([OTHER] * len(output), np.maximum(_honestly(output, rng).tokens / 10, 1.0))


def _half(output: Floats, rng: Rng) -> Said:
    """Every other request is said to be a short one."""
    said = _honestly(output, rng).tokens
    said[::2] = np.quantile(output, 0.1)
    return Said([OTHER] * len(output), said)


def _renamed(output: Floats, rng: Rng) -> Said:
    return Said([f"{OTHER} {i}" for i in range(len(output))], np.ones(len(output)))


def _random(output: Floats, rng: Rng) -> Said:
    return Said([OTHER] * len(output), rng.permutation(output))


def _turned(said: float | None) -> Callable[[Floats, Rng], Said]:
    """Honest for a while; then it says this, or None: a short one's length."""

    def turncoat(output: Floats, rng: Rng) -> Said:
        tokens = _honestly(output, rng).tokens
        tokens[_LIES_FROM:] = np.quantile(output, 0.1) if said is None else said
        return Said([OTHER] * len(output), tokens)

    return turncoat


WAYS: dict[str, Callable[[Floats, Rng], Said]] = {
    "says nothing": _nothing,
    "honest": _honestly,
    "honest order, a tenth": _tenth,
    "always 1": _one,
    "short for long": _reversed,
    "1, a new name each time": _renamed,
    "at random": _random,
    "half of them short": _half,
    "honest, then nothing": _turned(np.nan),
    "honest, then always 1": _turned(1.0),
    "honest, then always short": _turned(None),
}
"""What the other one does, by name."""


class Credulous(Priors):
    """Takes everybody at their word."""

    def prediction(
        self, source: str, said: Prediction, ours: Prediction | None
    ) -> Prediction | None:
        """What was said."""
        return said


class Told(Traffic):
    """Requests that bring what their clients say; NaN is nothing."""

    def __init__(self, workload: Workload, said: Floats, priors: Priors) -> None:
        super().__init__(workload, make_predictor("none"), predicting=False)
        self._priors = priors
        self._said = [None if np.isnan(each) else point(each, "client") for each in said]

    def predict(self, i: int, request: Request) -> None:
        """Request i arrives: what is said of it is believed, or not."""
        said = self._said[i]
        if said is not None:
            request.receive(self._priors.prediction(self.tenant[i] or "", said, None))

    def learn(self, i: int) -> None:
        """Request i finished."""
        said = self._said[i]
        if said is not None:
            self._priors.finished(self.tenant[i] or "", said, None, self.output[i], False)


class Latency(NamedTuple):
    """Mean seconds from arrival to the last token: of each tenant, and of its later requests."""

    honest: float
    other: float
    later: float


class Server(NamedTuple):
    """What serves both tenants."""

    policy: str = "lengthwise"
    profile: str = "a100-llama3-8b"
    seats: int = 64
    believes_all: bool = False

    def latencies(self, workload: Workload, said: Floats) -> Floats:
        """Seconds from arrival to the last token, [n], where clients say so many tokens [n]."""
        traffic = Told(workload, said, Credulous() if self.believes_all else Priors())
        simulator = Simulator(
            workload,
            make_policy(self.policy),
            make_predictor("none"),
            load_profile(self.profile),
            Setup(seats=self.seats),
            traffic=traffic,
        )

        def proceed() -> None:
            simulator.proceed()
            for i in simulator.finished:
                traffic.learn(i)
            simulator.finished.clear()

        for i, arrival in enumerate(traffic.arrival):
            while simulator.due < arrival:
                proceed()
            simulator.offer(i, arrival)
        while simulator.due < np.inf:
            proceed()
        return simulator.outcome().finish - workload.arrival


class Pair:
    """Two tenants' requests of one seed, and how long they take as the tenants speak.

    Args:
        rate: requests per second of both tenants.
    """

    def __init__(self, n: int, rate: float, seed: int) -> None:
        made = synthetic(n, "exp:50", "lognormal:200:1.0", seed)
        self._workload = with_arrivals(made, "poisson", rate, seed=seed)
        self._seed = seed
        self._others = np.random.default_rng([seed, 16]).random(n) < 0.5

    def latency(self, server: Server, way: str, honest: bool = True) -> Latency:
        """Mean latencies if the one tenant is honest, or silent, and the other one does this."""
        rng = np.random.default_rng([self._seed, 17])
        output, others = self._workload.output.astype(np.float64), self._others
        said = np.full(len(output), np.nan)
        # Drawn in any case: the other one draws the same in every run.
        true = _honestly(output[~others], rng).tokens
        if honest:
            said[~others] = true
        lie = WAYS[way](output[others], rng)
        said[others] = lie.tokens
        names = np.full(len(output), HONEST, dtype=object)
        names[others] = lie.names
        workload = replace(self._workload, tenant=tuple(names))
        found = server.latencies(workload, said)
        late = found[others][_LIES_FROM:]
        return Latency(*(float(each.mean()) for each in (found[~others], found[others], late)))


def main() -> None:
    """Print a table of ratios, means over seeds and twice their standard errors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=6_000)
    parser.add_argument("--rate", type=float, default=22.0, help="near capacity at 64 seats")
    parser.add_argument("--seats", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--policy", default="lengthwise")
    parser.add_argument("--profile", default="a100-llama3-8b")
    parser.add_argument("--believe-all", action="store_true")
    args = parser.parse_args()
    server = Server(args.policy, args.profile, args.seats, args.believe_all)
    pairs = [Pair(args.requests, args.rate, seed) for seed in range(args.seeds)]

    def latencies(way: str, honest: bool = True) -> Floats:
        return np.array([each.latency(server, way, honest) for each in pairs])

    nobody, quiet = latencies("says nothing", honest=False), latencies("says nothing")
    rows = []
    for way in WAYS:
        found = quiet if way == "says nothing" else latencies(way)
        cells = [found[:, 0] / nobody[:, 0], found[:, 1] / nobody[:, 1]]
        cells += [found[:, 1] / quiet[:, 1], found[:, 2] / quiet[:, 2]]
        rows.append((way, *map(_with_error, cells)))
    title = (
        f"mean latency, {args.policy}; {args.rate:g} requests/s, {args.seats} seats, "
        f"{args.seeds} seeds; nobody says anything: {nobody[:, 0].mean():.1f} s"
    )
    heads = ("the other one", "honest", "other", "other to silent", "other, later, to silent")
    print_table(title, heads, rows, width=120)


def _with_error(ratios: Floats) -> str:
    error = 2.0 * ratios.std(ddof=1) / np.sqrt(len(ratios))
    return f"{ratios.mean():.3f} ± {error:.3f}"


if __name__ == "__main__":
    main()
