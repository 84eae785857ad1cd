"""What scoring prompts costs the engine's steps: off, on a thread, in its own process.

``python -m lengthwise.bench.scoring MODEL --predictor FOLDER [--predictor FOLDER]``: one real
engine for each predictor. Requests arrive every few steps, so that the seats stay full; the three
ways take turns within the run, in changing order, because the machine drifts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

import numpy as np

from lengthwise.errors import UserError
from lengthwise.metrics.counters import COSTS
from lengthwise.results.terminal import Table, complain
from lengthwise.traces.prompts import read_prompts
from lengthwise.vllm.arrivals import ArrivalPredictor, NoPredictor, make_arrival_predictor
from lengthwise.vllm.driver import Driver
from lengthwise.vllm.engine import preload_libraries
from lengthwise.vllm.settings import Settings
from lengthwise.workload.prompts import BUILTIN

_PAUSE_S = 0.5
"""Between two turns, for what the one before left to be scored."""


@dataclass
class Way:
    """One way to score prompts, and what was measured of it.

    Attributes:
        steps: [n] seconds of each step with full seats.
        requests: that arrived in all.
        scored: of these, how many got a prediction.
        engine_s, service_s: spent in the engine's process beside its steps, and in its own.
    """

    predictor: ArrivalPredictor
    steps: list[float] = field(default_factory=list)
    requests: int = 0
    scored: int = 0
    engine_s: float = 0.0
    service_s: float = 0.0

    def figures(self) -> dict[str, float]:
        """Milliseconds a step, and a request."""
        steps, asked = 1e3 * np.array(self.steps), max(self.requests, 1)
        return {
            "steps": len(steps),
            "mean_ms": float(steps.mean()),
            "p99_ms": float(np.quantile(steps, 0.99)),
            "scored": self.scored / asked,
            "engine_ms": 1e3 * self.engine_s / asked,
            "service_ms": 1e3 * self.service_s / asked,
        }


def main() -> None:
    """Measure each predictor in a fresh process and print one table; bad input is one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--predictor", action="append", required=True, help="may be repeated")
    parser.add_argument("--seats", type=int, default=16)
    parser.add_argument("--every", type=int, default=2, help="steps between two arrivals")
    parser.add_argument("--steps", type=int, default=100, help="measured in each turn")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--only", help=argparse.SUPPRESS)
    args = parser.parse_args()
    preload_libraries()
    try:
        if args.only:
            print(json.dumps(measure(args)))
            return
    except UserError as error:
        complain(error)
        sys.exit(2)
    found = {}
    for probe in args.predictor:
        command = [sys.executable, "-m", "lengthwise.bench.scoring", *sys.argv[1:], "--only", probe]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(done.returncode)
        found[probe] = json.loads(done.stdout.splitlines()[-1])
    show(found)


def measure(args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """The three ways' figures with the predictor in one folder."""
    settings = Settings(policy="sjf", probe=args.only, scoring="thread", learn=False)
    driver = Driver(args.model, args.seats, settings, enable_prefix_caching=False)
    own = make_arrival_predictor("prompt", replace(settings, scoring="process"), args.model)
    ways = {
        "off": Way(NoPredictor()),
        "thread": Way(driver.arrivals),
        "process": Way(own),
    }
    load = _load(driver, args)
    try:
        _until_up(own)
        order = list(ways.values())
        for number in range(args.rounds + 1):
            for way in order:
                _turn(driver, way, load, args, measured=number > 0)
            order = order[1:] + order[:1]
        return {name: way.figures() for name, way in ways.items()}
    finally:
        own.close()


def _until_up(own: ArrivalPredictor) -> None:
    """Wait for the prediction process.

    Raises:
        UserError: if it does not come up however often it is started.
    """
    while not own.stats()["up"]:
        if own.stats()["given_up"]:
            raise UserError("the prediction process does not start: see the lines above")
        own.ready()
        time.sleep(0.1)


def _load(driver: Driver, args: argparse.Namespace) -> Iterator[tuple[str, list[int], Any]]:
    """Requests without end, long enough that one every few steps keeps the seats full."""
    from vllm import SamplingParams

    from lengthwise.models.served import chat_ids

    tokenizer = driver.tokenizer()
    prompts = [chat_ids(tokenizer, prompt.text) for prompt in read_prompts(BUILTIN)]
    params = SamplingParams(temperature=0, max_tokens=args.seats * args.every, ignore_eos=True)
    for number, ids in enumerate(cycle(prompts)):
        yield str(number), ids, params


def _turn(
    driver: Driver,
    way: Way,
    load: Iterator[tuple[str, list[int], Any]],
    args: argparse.Namespace,
    measured: bool,
) -> None:
    """Fill the seats, measure, let all requests end; the first turn of each only warms up."""
    driver.predict_arrivals_by(way.predictor)
    COSTS.reset()
    scored = driver.predicted()
    filling = args.seats * args.every
    arrived, steps = 0, []
    for number in range(filling + args.steps):
        if number % args.every == 0:
            driver.add(*next(load))
            arrived += 1
        start = time.perf_counter()
        driver.step()
        steps.append(time.perf_counter() - start)
    while driver.busy:
        driver.step()
    time.sleep(_PAUSE_S)
    way.predictor.ready()
    if measured:
        way.steps += steps[filling:]
        way.requests += arrived
        way.scored += len(scored)
        way.engine_s += COSTS.prompt_s
        way.service_s += COSTS.service_s


def show(found: dict[str, dict[str, dict[str, float]]]) -> None:
    """Print a line for each predictor and way; the ratio is to the same engine without."""
    heads = ("predictor", "scoring", "steps", "mean", "", "p99", "", "scored", "engine", "own")
    title = "a step of the engine while requests arrive"
    table = Table(title, heads, left=("predictor", "scoring"), width=140)
    for probe, ways in found.items():
        for name, it in ways.items():
            base = ways["off"]
            table.add_row(
                probe,
                name,
                f"{it['steps']:.0f}",
                f"{it['mean_ms']:.2f} ms",
                f"{it['mean_ms'] / base['mean_ms']:.3f}x",
                f"{it['p99_ms']:.2f} ms",
                f"{it['p99_ms'] / base['p99_ms']:.3f}x",
                f"{it['scored']:.0%}",
                f"{it['engine_ms']:.3f} ms/request",
                f"{it['service_ms']:.3f} ms/request",
            )
    table.print()


if __name__ == "__main__":
    main()
