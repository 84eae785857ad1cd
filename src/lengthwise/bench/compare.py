"""``lengthwise bench``: several policies, the same requests, one results.json."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from msgspec import UNSET, UnsetType

from lengthwise.bench.job import STOCK, BenchRequest, Job, JobOutcome
from lengthwise.bench.plan import (
    BenchPlan,
    arrival_times,
    engine_arguments,
    labels_of,
    settings_for,
    setup_of,
    source_of,
    tokenized,
    with_predictors,
)
from lengthwise.bench.turns import take_turns
from lengthwise.bench.worker import REFUSED
from lengthwise.core.checks import folder_for
from lengthwise.errors import UserError
from lengthwise.models.served import context_of
from lengthwise.results.class_tables import show_attainment
from lengthwise.results.files import write_requests, write_results
from lengthwise.results.promises import held, services
from lengthwise.results.record import Notes, Run
from lengthwise.results.tables import show_bench
from lengthwise.results.timings import Times
from lengthwise.vllm.engine import check_memory, check_vllm

Execute = Callable[[list[Job]], list[JobOutcome]]


def compare(plan: BenchPlan, out: Path, execute: Execute | None = None) -> list[Run]:
    """Run every policy at every rate; write results.json after each rate; print a table.

    The runs of one rate take turns (see ``turns.py``). The oracle's lengths come from a
    run before all others, which is not reported. ``execute`` runs the runs of one rate
    (default: each in a fresh process).

    Raises:
        UserError: for what :meth:`BenchPlan.check` refuses, before anything runs, or a failed
            run.
    """
    plan.check()
    folder_for(out)
    if execute is None:
        check_vllm(*plan.engine_settings())
        check_memory(str(plan.model), len(plan.policies), cached=plan.kv_blocks is None)
    plan, requests = tokenized(plan, context_of(plan.model))
    bench = _Bench(plan, requests, out, execute or partial(in_fresh_processes, logs=out))
    bench.measure_lengths()
    for rate in plan.rates:
        bench.run_at(rate, None)
    if plan.loads:
        capacity = bench.capacity()
        for load in plan.loads:
            bench.run_at(load * capacity, load)
    show_bench(bench.runs)
    show_attainment(bench.runs)
    return bench.runs


class _Bench:
    """What the runs share."""

    def __init__(
        self, plan: BenchPlan, requests: list[BenchRequest], out: Path, execute: Execute
    ) -> None:
        self._plan, self._out, self._execute = plan, out, execute
        self._base = _base_job(plan, requests)
        self._lengths: dict[str, int] = {}
        self._answers: dict[str, list[int]] = {}
        self.runs: list[Run] = []

    def measure_lengths(self) -> None:
        """Under vLLM's own scheduler, if a policy is to be given true lengths."""
        plan = self._plan
        if any(source_of(spec) == "oracle" for spec in plan.policies):
            job = replace(self._base, policy=STOCK, requests=self._requests(None))
            (outcome,) = self._execute([job])
            self._lengths = {timing.id: timing.tokens for timing in outcome.timings}

    def run_at(self, rate: float | None, load: float | None) -> None:
        """All policies at a rate, and their files."""
        plan, requests = self._plan, self._requests(rate)
        jobs = []
        for position, spec in enumerate(plan.policies):
            name, folder = with_predictors(plan, spec)
            settings = settings_for(plan, spec, self._out)
            job = replace(self._base, policy=name, probe=folder, rate=rate, settings=settings)
            jobs.append(replace(job, requests=requests, position=position))
        for spec, outcome in zip(plan.policies, self._execute(jobs), strict=True):
            self._keep(spec, rate, load, requests, outcome)

    def _keep(
        self,
        spec: str,
        rate: float | None,
        load: float | None,
        requests: list[BenchRequest],
        outcome: JobOutcome,
    ) -> None:
        if not outcome.seen.finished:
            raise UserError(f"policy {spec} finished no request at all")
        other = sum(
            timing.answer != self._answers.setdefault(timing.id, timing.answer)
            for timing in outcome.timings
        )
        number, notes = len(self.runs), Notes(other_answers=other)
        labels = labels_of(self._plan, spec, rate, load)
        by_id = {request.id: request for request in requests}
        classes, own = self._plan.classes, [by_id[timing.id] for timing in outcome.timings]
        service = services(classes, [it.tenant for it in own], [it.priority for it in own])
        got = held(classes, Times.of(outcome.timings), service)
        self.runs.append(Run.of(*labels, outcome.seen, got, outcome.work, notes))
        write_results(self._out, setup_of(self._plan), self.runs)
        names: Sequence[str | UnsetType] = service or [UNSET] * len(own)
        named = zip(own, outcome.timings, names, strict=True)
        rows = (request.row(timing, service=name) for request, timing, name in named)
        write_requests(self._out, number, rows)
        (self._out / f"steps-{number}.json").write_text(json.dumps(outcome.windows) + "\n")

    def capacity(self) -> float:
        """What loads are shares of: what the burst's first run finished with full seats."""
        first = next(run for run in self.runs if run.rate is None)
        if not first["full_requests_per_s"]:
            raise UserError("every request had a seat at once: more of them show the capacity")
        return float(first["full_requests_per_s"])

    def _requests(self, rate: float | None) -> list[BenchRequest]:
        """The run's requests with their times and, for the oracle, their lengths."""
        times = arrival_times(self._plan, rate)
        return [
            replace(request, arrival=time, tokens=self._lengths.get(request.id))
            for request, time in zip(self._base.requests, times, strict=True)
        ]


def in_fresh_processes(jobs: list[Job], logs: Path) -> list[JobOutcome]:
    """Execute jobs in new Python processes, so that every engine starts from nothing.

    Each engine's log is ``engine-NUMBER.log`` in the folder ``logs``.

    Raises:
        UserError: if one of them fails, or there is not enough memory for all of them.
    """
    # They take turns, so they are all there at the same time.
    check_memory(jobs[0].model, len(jobs), "num_gpu_blocks_override" not in jobs[0].engine)
    with tempfile.TemporaryDirectory() as folder:
        commands, targets, kept = [], [], []
        for number, job in enumerate(jobs):
            source, target = Path(folder) / f"{number}.job", Path(folder) / f"{number}.outcome"
            job.save(source)
            worker = [sys.executable, "-m", "lengthwise.bench.worker"]
            log = logs / f"engine-{number}.log"
            log.unlink(missing_ok=True)
            commands.append([*worker, str(source), str(target), str(log), "--turns"])
            targets.append(target)
            kept.append(log)
        for job, status, target, log in zip(jobs, take_turns(commands), targets, kept, strict=True):
            if status == REFUSED and target.exists():
                raise UserError(f"policy {job.policy}: {json.loads(target.read_text())}")
            if status or not target.exists():
                named = f"; its whole log is in {log}" if log.exists() else ""
                raise UserError(f"policy {job.policy}: exit status {status} of the engine{named}")
        return [JobOutcome.load(target) for target in targets]


def _base_job(plan: BenchPlan, requests: list[BenchRequest]) -> Job:
    return Job(
        policy="",
        model=str(plan.model),
        probe=plan.probe,
        seats=plan.seats,
        cap=plan.cap,
        rate=None,
        seed=plan.seed,
        requests=requests,
        engine=engine_arguments(plan),
        settings=plan.settings,
        until=plan.until,
    )
