"""One run in a process of its own: a fresh engine, one policy, open-loop arrivals.

``python -m lengthwise.bench.worker JOB.json OUTCOME.json LOG``: the bench command writes the
first file and reads the second, so no run inherits anything from another.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from lengthwise.bench.job import STOCK_PRIORITY, STOCKS, BenchRequest, Job, JobOutcome, settings_of
from lengthwise.bench.turns import Clock
from lengthwise.core.text import visible
from lengthwise.errors import UserError
from lengthwise.metrics.counters import COSTS
from lengthwise.results.capacity import full_rate
from lengthwise.results.record import Work
from lengthwise.results.timings import Times, Timing, seen, work
from lengthwise.vllm.arrivals import OraclePredictor
from lengthwise.vllm.driver import Driver
from lengthwise.vllm.engine import preload_libraries
from lengthwise.vllm.engine_log import engine_log
from lengthwise.vllm.hints import ORACLE_HINT
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.steps import StepLog
from lengthwise.workload.clients import TENANT_HINT

_LOADING_S = 120.0
"""Patience with a prediction process before the run begins without it."""

REFUSED = 2
"""Exit status of a run that is bad: its result is what is wrong with it, a line."""


def execute(job: Job, clock: Clock | None = None, terminal: TextIO | None = None) -> JobOutcome:
    """Serve the job's requests; figures, and each request's times and answer.

    ``clock`` is the run's own, for one that takes turns with others; ``terminal`` shows its
    progress (default: standard error).

    Raises:
        UserError: if the engine cannot be built as asked.
    """
    OraclePredictor.allowed = True
    order = {"scheduling_policy": "priority"} if job.policy == STOCK_PRIORITY else {}
    driver = Driver(job.model, job.seats, _settings(job), **job.engine, **order)
    _warm_up(driver)
    steps = StepLog(driver.compositions())
    # Policies must not count the time in which other runs have their turn.
    clock = clock or Clock(turns=False)
    driver.use_clock(clock.now)
    timings, busy_s = _serve(driver, job, clock, steps, terminal)
    times = Times.of(timings)
    clients = seen(times, job.until)
    if not clients.finished:
        return JobOutcome(clients, Work(), timings, steps.windows)
    done = work(COSTS.snapshot(), busy_s)
    done = replace(done, full_requests_per_s=full_rate(times))
    return JobOutcome(clients, done, timings, steps.windows)


def _settings(job: Job) -> Settings | None:
    if job.policy in STOCKS:
        return None
    return settings_of(job.policy, job.probe, job.settings)


def _warm_up(driver: Driver) -> None:
    """Short requests, so that first-time costs hit no policy; then a clean slate.

    They go on until a predictor in a process of its own has loaded and scored one.
    """
    from vllm import SamplingParams

    end = time.monotonic() + _LOADING_S
    for i in count():
        params = SamplingParams(temperature=0, max_tokens=4)
        driver.add(f"warm-{i}", [1, 2, 3, 4 + i], params)
        while driver.busy:
            driver.step()
        if i and (driver.prediction_stats().get("scored", 1) or time.monotonic() > end):
            break
    driver.start_clean()


def _serve(
    driver: Driver, job: Job, clock: Clock, steps: StepLog, terminal: TextIO | None
) -> tuple[list[Timing], float]:
    """The open loop: requests arrive when they arrive, however far behind the engine is."""
    from vllm import SamplingParams

    timings = {r.id: Timing(r.id, r.arrival, tenant=r.tenant) for r in job.requests}
    pending = sorted(job.requests, key=lambda r: r.arrival, reverse=True)
    bar = tqdm(
        total=len(pending),
        desc=f"{visible(job.policy):>12}",
        unit="request",
        position=job.position,
        file=terminal,
    )
    oracle = job.oracle
    busy_s = 0.0
    clock.start()
    while pending or driver.busy:
        clock.pause()
        now = clock.now()
        while pending and pending[-1].arrival <= now:
            request = pending.pop()
            hints = _hints(request, oracle)
            cap = request.cap(job.cap)
            params = SamplingParams(temperature=0, max_tokens=cap, extra_args=hints or None)
            driver.add(request.id, request.prompt_ids, params, request.priority)
        if not driver.busy:
            clock.skip_to(pending[-1].arrival)
            continue
        before = clock.now()
        outputs = driver.step()
        now = clock.now()
        busy_s += now - before
        steps.saw(before, now - before)
        for output in outputs:
            timings[output.request_id].saw(now, output.outputs[0].token_ids, output.finished)
            bar.update(output.finished)
    bar.close()
    return list(timings.values()), busy_s


def _hints(request: BenchRequest, oracle: bool) -> dict[str, Any]:
    """A client's hints; true lengths under oracle policies only."""
    hints: dict[str, Any] = {} if request.tenant is None else {TENANT_HINT: request.tenant}
    if oracle and request.tokens is not None:
        hints[ORACLE_HINT] = request.tokens
    return hints


def main() -> None:
    """Read a job, execute it, write its outcome: of a bad job, what is wrong, and exit 2."""
    preload_libraries()
    source, target, log = map(Path, sys.argv[1:4])
    try:
        with engine_log(log) as terminal:
            clock = Clock(turns="--turns" in sys.argv[4:])
            outcome = execute(Job.load(source), clock, terminal)
    except UserError as error:
        target.write_text(json.dumps(str(error)))
        sys.exit(REFUSED)
    outcome.save(target)


if __name__ == "__main__":
    main()
