"""Iteration-level scheduling with a cap on seats, on several instances in turn.

Magnus compares with it as conservative continuous batching, SCLS as ILS: seats are as few
as memory holds of the longest requests, so that no instance ever runs out of it.
"""

from __future__ import annotations

import numpy as np

from lengthwise.padded.drive import BatchTiming, Log
from lengthwise.padded.figures import figures
from lengthwise.policies import FCFS
from lengthwise.results.record import Batched, Part
from lengthwise.results.timings import Times
from lengthwise.sim.engine import Simulator
from lengthwise.sim.padded import requests_of
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import StepTime
from lengthwise.workload import Workload

_BLOCK = 16


def capped(
    workload: Workload, time: StepTime, instances: int, seats: int, until: int | None = None
) -> tuple[tuple[Part, ...], Times]:
    """Figures and times of a run, first come first served; request i to instance i mod n."""
    timings = [BatchTiming.begin(request) for request in requests_of(workload)]
    last = np.zeros(instances)
    for instance in range(instances):
        rows = np.arange(instance, len(workload), instances)
        if not len(rows):
            continue
        begin = float(workload.arrival[rows[0]])
        part = workload.rows(rows, workload.arrival[rows] - begin)
        first, finish = _serve(part, time, seats)
        last[instance] = begin + finish.max()
        for row, *times in zip(rows.tolist(), first + begin, finish + begin, strict=True):
            timing = timings[row]
            timing.first, timing.finish = map(float, times)
            timing.slices, timing.tokens = 1, int(workload.output[row])
    found = figures(Log(timings), instances, until)
    return (*found, Batched(load_imbalance_s=float(last.std()))), Times.of(timings)


def _serve(part: Workload, time: StepTime, seats: int) -> tuple[np.ndarray, np.ndarray]:
    """Times of first and last tokens; memory for every seat at its longest."""
    longest = int((part.prompt + part.output).max())
    blocks = seats * (-(-longest // _BLOCK) + 1)
    budget = max(2048, seats, int(part.prompt.max()))
    setup = Setup(seats=seats, budget=budget, blocks=blocks, block_size=_BLOCK)
    outcome = Simulator(part, FCFS(), make_predictor("none"), time, setup).run()
    return outcome.first, outcome.finish
