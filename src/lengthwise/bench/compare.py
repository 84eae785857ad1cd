"""``lengthwise bench``: several policies, the same requests, one results.json."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from lengthwise.bench.plan import (
    Plan,
    arrival_times,
    engine_arguments,
    labels,
    setup_of,
    source_of,
    tokenized,
    with_predictors,
)
from lengthwise.bench.turns import take_turns
from lengthwise.bench.worker import REFUSED, STOCK, Run
from lengthwise.core.checks import folder_for
from lengthwise.errors import UserError
from lengthwise.models.served import context_of
from lengthwise.results.files import write_requests, write_results
from lengthwise.results.tenants import show_tenants
from lengthwise.results.terminal import Table
from lengthwise.vllm.engine import check_memory, check_vllm

Execute = Callable[[list[Run]], list[dict[str, Any]]]


def compare(plan: Plan, out: Path, execute: Execute | None = None) -> list[dict[str, Any]]:
    """Run every policy at every rate; write results.json after each rate; print a table.

    The runs of one rate take turns (see ``turns.py``). The oracle's lengths come from a
    run before all others, which is not reported. ``execute`` runs the runs of one rate
    (default: each in a fresh process).

    Raises:
        UserError: for what :meth:`Plan.check` refuses, before anything runs, or a failed run.
    """
    plan.check()
    folder_for(out)
    if execute is None:
        check_vllm()
        check_memory(str(plan.model), len(plan.policies), cached=plan.kv_blocks is None)
    execute = execute or partial(in_fresh_processes, logs=out)
    plan, requests = tokenized(plan, context_of(plan.model))
    base = _base_run(plan, requests)
    runs: list[dict[str, Any]] = []
    lengths: dict[str, int] = {}
    answers: dict[str, list[int]] = {}

    if any(source_of(spec) == "oracle" for spec in plan.policies):
        measured = execute([replace(base, policy=STOCK, requests=_requests(base, plan, None))])
        lengths = {life["id"]: life["tokens"] for life in measured[0]["lives"]}

    def run_at(rate: float | None, load: float | None) -> None:
        requests = _requests(base, plan, rate, lengths)
        results = execute(
            [
                replace(
                    base,
                    **with_predictors(plan, spec),
                    rate=rate,
                    requests=requests,
                    position=i,
                )
                for i, spec in enumerate(plan.policies)
            ]
        )
        for spec, result in zip(plan.policies, results, strict=True):
            lives, windows = result.pop("lives"), result.pop("windows", None)
            if not result["finished"]:
                raise UserError(f"policy {spec} finished no request at all")
            for life in lives:
                answers.setdefault(life["id"], life["answer"])
            result["other_answers"] = sum(life["answer"] != answers[life["id"]] for life in lives)
            runs.append({**labels(plan, spec, rate, load), **result})
            write_results(out, setup_of(plan), runs)
            write_requests(out, len(runs) - 1, requests, lives)
            if windows is not None:
                (out / f"steps-{len(runs) - 1}.json").write_text(json.dumps(windows) + "\n")

    for rate in plan.rates:
        run_at(rate, None)
    if plan.loads:
        first = next(run for run in runs if run["rate"] is None)
        capacity = first["full_requests_per_s"]
        if not capacity:
            raise UserError("every request had a seat at once: more of them show the capacity")
        for load in plan.loads:
            run_at(load * capacity, load)
    show(runs)
    return runs


def in_fresh_processes(runs: list[Run], logs: Path) -> list[dict[str, Any]]:
    """Execute runs in new Python processes, so that every engine starts from nothing.

    Each engine's log is ``engine-NUMBER.log`` in the folder ``logs``.

    Raises:
        UserError: if one of them fails, or there is not enough memory for all of them.
    """
    # They take turns, so they are all there at the same time.
    check_memory(runs[0].model, len(runs), "num_gpu_blocks_override" not in runs[0].engine)
    with tempfile.TemporaryDirectory() as folder:
        commands, targets, kept = [], [], []
        for number, run in enumerate(runs):
            source, target = Path(folder) / f"{number}.json", Path(folder) / f"{number}.result"
            source.write_text(json.dumps(asdict(run)))
            worker = [sys.executable, "-m", "lengthwise.bench.worker"]
            log = logs / f"engine-{number}.log"
            log.unlink(missing_ok=True)
            commands.append([*worker, str(source), str(target), str(log), "--turns"])
            targets.append(target)
            kept.append(log)
        for run, status, target, log in zip(runs, take_turns(commands), targets, kept, strict=True):
            if status == REFUSED and target.exists():
                raise UserError(f"policy {run.policy}: {json.loads(target.read_text())}")
            if status or not target.exists():
                named = f"; its whole log is in {log}" if log.exists() else ""
                raise UserError(f"policy {run.policy}: exit status {status} of the engine{named}")
        return [json.loads(target.read_text()) for target in targets]


def show(runs: list[dict[str, Any]]) -> None:
    """Print the runs as a table; ratios are against the first policy at the same rate."""
    heads = "policy rate mean p50 p99 TTFT maxwait tok/s preempt recomp sched+pred speed-up"
    table = Table("lengthwise bench", heads.split(), left=("policy",), width=140)
    first: dict[Any, float] = {}
    for run in runs:
        speed_up = first.setdefault(run["rate"], run["mean_latency_s"]) / run["mean_latency_s"]
        rate = "burst" if run["rate"] is None else f"{run['rate']:.2f}/s"
        cost = run["ranking_ms_per_step"] + run["predictor_ms_per_step"]
        table.add_row(
            _shown(run, runs),
            rate,
            *(f"{run[f'{name}_latency_s']:.2f}s" for name in ("mean", "p50", "p99")),
            f"{run['mean_ttft_s']:.2f}s",
            f"{run['max_waiting_s']:.1f}s",
            f"{run['tokens_per_s']:.1f}",
            str(run["preemptions"]),
            str(run["recomputed_tokens"]),
            f"{100 * cost / run['step_ms']:.1f}%",
            f"{speed_up:.2f}x",
        )
    table.print()
    show_tenants(runs)


def _shown(run: dict[str, Any], runs: list[dict[str, Any]]) -> str:
    """The policy, and its predictors where the runs have several."""
    folders = {each["predictors"] for each in runs} - {None}
    if len(folders) < 2 or run["predictors"] is None:
        return str(run["policy"])
    return f"{run['policy']}@{Path(run['predictors']).name}"


def _base_run(plan: Plan, requests: list[dict[str, Any]]) -> Run:
    return Run(
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


def _requests(
    base: Run, plan: Plan, rate: float | None, lengths: dict[str, int] | None = None
) -> list[dict[str, Any]]:
    """The run's requests with their times and, for the oracle, their lengths."""
    return [
        {**request, "arrival": time, "tokens": (lengths or {}).get(request["id"])}
        for request, time in zip(base.requests, arrival_times(plan, rate), strict=True)
    ]
