"""What learning while serving gives away: ``python -m lengthwise.studies.sampled FOLDER``.

Answers that ``lengthwise collect`` kept at every eighth token, seen as serving would have seen
them: at few positions, ever farther apart. What is learned from them stands beside what
``lengthwise train`` makes of all positions of the same answers; the other answers judge.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch

from lengthwise.answers.arrays import Answers
from lengthwise.core.bins import Bins
from lengthwise.online.fitting import fit_probe, fit_prompt
from lengthwise.online.messages import Finished
from lengthwise.online.pairs import KnownLengths
from lengthwise.online.states import States
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.embeddings import Embeddings
from lengthwise.predictors.trail import Trail
from lengthwise.predictors.trail_fit import fit_probe as train_probe
from lengthwise.predictors.trail_options import OURS
from lengthwise.results.tables import print_table
from lengthwise.vllm.ages import GROWTH, next_age, offset_of


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what lengthwise collect filled")
    parser.add_argument("--model", required=True, help="the served model")
    parser.add_argument("--requests", type=int, default=1000, help="that a probe learns from")
    parser.add_argument("--few", type=int, default=300, help="that prompts are learned from")
    parser.add_argument("--growths", default=f"{GROWTH:g}", help="of an age over the one before")
    parser.add_argument("--positions", type=int, default=24, help="most of an answer")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--cost", default="", help="only measure fits to so many: 1000,5000")
    args = parser.parse_args()
    torch.set_num_threads(1)
    answers = Answers.read([args.folder])
    if args.cost:
        sizes = [int(each) for each in args.cost.split(",")]
        show_cost(outcomes(answers, GROWTH, args.positions), sizes, args.model)
        return
    # In an order of chance that is the same in every run.
    order = np.argsort([offset_of(each.id) for each in answers.asked], kind="stable").argsort()
    judges, learned = answers.some(order >= args.requests), answers.some(order < args.requests)
    show_prompts(answers.some(order < args.few), judges, args.model)
    show_layers(learned, judges)
    growths = [float(each) for each in args.growths.split(",")]
    show_probes(learned, judges, growths, args.positions, args.seeds)


def outcomes(answers: Answers, growth: float, positions: int) -> list[Finished]:
    """The answers as finished requests, with the states that serving would have kept."""
    found = []
    for asked, (row, arrays) in zip(answers.asked, answers.rows, strict=True):
        ages, wanted = arrays["ages"].astype(np.int64), [0]
        while len(wanted) < positions and wanted[-1] < row["output_tokens"]:
            wanted.append(next_age(wanted[-1], offset_of(asked.id), growth))
        # Every eighth token was collected: the nearest stands for the wanted one.
        near = np.unique([np.abs(ages - age).argmin() for age in wanted])
        states = States(answers.layers, ages[near], arrays["states"][near])
        found.append(Finished(asked, row["output_tokens"], row["censored"], states=states))
    return found


def show_prompts(learned: Answers, judges: Answers, model: str) -> None:
    """Pairs that predictors of prompts order right."""
    bins, how = Bins.log(20, learned.cap).with_overflow(), Fitting(model=model)
    trained = Embeddings.fit(learned, learned, bins, how)
    online = fit_prompt(outcomes(learned, GROWTH, 1), "embeddings", model)
    known = KnownLengths(judges.tokens, judges.censored)
    said = (("lengthwise train", trained), ("while serving", online))
    rows = [
        [name, str(known.right(each.first(judges).mean().astype(np.float64)))]
        for name, each in said
    ]
    print_table(f"embeddings of {len(learned)} requests", ("learned", "pairs right"), rows)


def show_layers(learned: Answers, judges: Answers) -> None:
    """What each layer's probe errs by, trained on all positions."""
    rows = []
    for layer in learned.layers:
        probe, _ = train_probe(*_parts(learned), replace(OURS, layer=layer))
        rows.append([str(layer), *_errors(Trail(probe), judges)])
    print_table(f"probes of {len(learned)} requests", ("layer", *_HEADS), rows)


def show_probes(
    learned: Answers, judges: Answers, growths: Sequence[float], positions: int, seeds: int
) -> None:
    """Probes from all positions, and from those that serving keeps."""
    rows = []
    for seed in range(seeds):
        every = Trail.fit(*_parts(learned), Bins.equal(1, 1), Fitting(seed=seed))
        count = len(learned.positions.age)
        rows.append(["all", str(count), str(every.probe.layer), *_errors(every, judges)])
        for growth in growths:
            known = outcomes(learned, growth, positions)
            few, count = fit_probe(known, seed), sum(len(_states(each).ages) for each in known)
            cells = [f"x {growth:g}", str(count), str(few.probe.layer), *_errors(few, judges)]
            rows.append(cells)
    heads = ("positions", "rows", "layer", *_HEADS)
    print_table(f"probes of {len(learned)} requests, judged by {len(judges)}", heads, rows)


def show_cost(known: Sequence[Finished], sizes: Sequence[int], model: str) -> None:
    """Seconds of one thread for a fit, and the process's peak so far; requests may repeat."""
    rows = []
    for size in sizes:
        some = [
            replace(each, asked=replace(each.asked, prompt_ids=[*each.asked.prompt_ids, i]))
            for i, each in enumerate(islice(cycle(known), size))
        ]
        for name, fit in (
            ("prompts", lambda some=some: fit_prompt(some, "embeddings", model)),
            ("probe", lambda some=some: fit_probe(some)),
        ):
            start = time.process_time()
            fit()
            seconds = time.process_time() - start
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            rows.append([f"{size:,}", name, f"{seconds:.1f}", f"{peak:.2f}"])
    print_table("one fit", ("requests", "learns", "seconds", "peak GiB"), rows)


_HEADS = ("remaining MAE", "unrefined", "at the prompts' end")


def _errors(trail: Trail, judges: Answers) -> list[str]:
    """Remaining MAE at every eighth token, the same unrefined, and at the prompts' ends."""
    at = judges.positions
    off = np.abs(trail.remaining(judges).mean() - at.left)
    kept, trail.probe.refinement = trail.probe.refinement, {"keep": 0.0}
    raw = np.abs(trail.remaining(judges).mean() - at.left)
    trail.probe.refinement = kept
    errors = (off[at.grid], raw[at.grid], off[at.age == 0])
    return [f"{each.mean():.1f}" for each in errors]


def _parts(answers: Answers) -> tuple[Answers, Answers]:
    """Four fifths to learn from and a fifth to choose by, as ``lengthwise train`` has it."""
    tune = np.arange(len(answers)) % 5 == 0
    return answers.some(~tune), answers.some(tune)


def _states(outcome: Finished) -> States:
    assert outcome.states is not None
    return outcome.states


if __name__ == "__main__":
    main()
