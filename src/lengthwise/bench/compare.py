"""``lengthwise bench``: several policies, the same requests, one results.json."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lengthwise.bench import arrivals
from lengthwise.bench.worker import STOCK, Run
from lengthwise.collect import chat_ids
from lengthwise.engine import engine_name
from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.prompts import Prompt


@dataclass(frozen=True)
class Plan:
    """What to compare.

    Attributes:
        policies: names, ``stock`` for vLLM's own scheduler.
        rates: requests per second; None is a burst.
        loads: rates as shares of the capacity: what the burst under the first policy
            finishes while every seat is taken.
        cv: coefficient of variation of the gaps; 1 is Poisson.
        trace: file with arrival times instead of random ones.
    """

    model: Path
    prompts: list[Prompt]
    policies: list[str]
    probe: str | None
    seats: int = 8
    cap: int = 512
    rates: list[float | None] = field(default_factory=lambda: [None])
    loads: list[float] = field(default_factory=list)
    cv: float = 1.0
    trace: Path | None = None
    seed: int = 0
    kv_blocks: int | None = None
    block_size: int = 32
    settings: dict[str, Any] = field(default_factory=dict)


Execute = Callable[[Run], dict[str, Any]]


def compare(plan: Plan, out: Path, execute: Execute | None = None) -> list[dict[str, Any]]:
    """Run every policy at every rate; write results.json after each run; print a table.

    ``execute`` runs one run (default: in a fresh process).

    Raises:
        UserError: for an unknown policy, a policy without its predictor, or a failed run.
    """
    _check(plan)
    execute = execute or in_fresh_process
    base = _base_run(plan)
    runs: list[dict[str, Any]] = []
    lengths: dict[str, int] = {}
    answers: dict[str, list[int]] = {}

    def run_at(rate: float | None, load: float | None) -> None:
        times = _arrivals(plan, rate)
        for policy in plan.policies:
            requests = [
                {**request, "arrival": time, "tokens": lengths.get(request["id"])}
                for request, time in zip(base.requests, times, strict=True)
            ]
            result = execute(replace(base, policy=policy, rate=rate, requests=requests))
            lives = result.pop("lives")
            if not result["finished"]:
                raise UserError(f"policy {policy} finished no request at all")
            for life in lives:
                lengths.setdefault(life["id"], life["tokens"])
                answers.setdefault(life["id"], life["answer"])
            result["other_answers"] = sum(life["answer"] != answers[life["id"]] for life in lives)
            runs.append({**_labels(plan, policy, rate, load), **result})
            _write(out, plan, runs)
            _write_requests(out, len(runs) - 1, requests, lives)

    for rate in plan.rates:
        run_at(rate, None)
    if plan.loads:
        first = next((run for run in runs if run["rate"] is None), None)
        if first is None:
            raise UserError("loads are shares of a burst's throughput: keep the burst in the rates")
        capacity = first["full_requests_per_s"]
        if not capacity:
            raise UserError("every request had a seat at once: more of them show the capacity")
        for load in plan.loads:
            run_at(load * capacity, load)
    show(runs)
    return runs


def in_fresh_process(run: Run) -> dict[str, Any]:
    """Execute one run in a new Python process, so that its engine starts from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "run.json", Path(folder) / "result.json"
        source.write_text(json.dumps(asdict(run)))
        command = [sys.executable, "-m", "lengthwise.bench.worker", str(source), str(target)]
        status = subprocess.run(command, check=False).returncode
        if status or not target.exists():
            raise UserError(f"the run of policy {run.policy} failed (exit status {status})")
        result: dict[str, Any] = json.loads(target.read_text())
        return result


def show(runs: list[dict[str, Any]]) -> None:
    """Print the runs as a table; ratios are against the first policy at the same rate.

    ``gauge`` is a fixed step's time before and after the run; ``even`` (at even speed) is the
    ratio with both runs' times divided by it.
    """
    table = Table(title="lengthwise bench")
    heads = (
        "policy rate mean p50 p99 TTFT maxwait tok/s preempt recomp sched+pred gauge speed-up even"
    )
    for head in heads.split():
        table.add_column(head, justify="left" if head == "policy" else "right")
    first: dict[Any, dict[str, Any]] = {}
    for run in runs:
        base = first.setdefault(run["rate"], run)
        speed_up = base["mean_latency_s"] / run["mean_latency_s"]
        rate = "burst" if run["rate"] is None else f"{run['rate']:.2f}/s"
        cost = run["ranking_ms_per_step"] + run["predictor_ms_per_step"]
        table.add_row(
            run["policy"],
            rate,
            *(f"{run[f'{name}_latency_s']:.2f}s" for name in ("mean", "p50", "p99")),
            f"{run['mean_ttft_s']:.2f}s",
            f"{run['max_waiting_s']:.1f}s",
            f"{run['tokens_per_s']:.1f}",
            str(run["preemptions"]),
            str(run["recomputed_tokens"]),
            f"{100 * cost / run['step_ms']:.1f}%",
            f"{run['gauge_ms']:.1f}ms",
            f"{speed_up:.2f}x",
            f"{speed_up * run['gauge_ms'] / base['gauge_ms']:.2f}x",
        )
    Console(width=140).print(table)


def _check(plan: Plan) -> None:
    for policy in plan.policies:
        if policy == STOCK:
            continue
        source = make_policy(policy).source
        if source in ("prompt", "probe") and plan.probe is None:
            raise UserError(f"policy {policy} predicts: give it --probe (see lengthwise train)")
        if source == "oracle" and plan.policies[0] == policy:
            raise UserError("the oracle needs lengths: put stock or fcfs before it in --policies")


def _base_run(plan: Plan) -> Run:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(plan.model)
    requests = [
        {"id": prompt.id, "prompt_ids": chat_ids(tokenizer, prompt.text)} for prompt in plan.prompts
    ]
    engine: dict[str, Any] = {"block_size": plan.block_size}
    if plan.kv_blocks is not None:
        engine["num_gpu_blocks_override"] = plan.kv_blocks
    return Run(
        policy="",
        model=str(plan.model),
        probe=plan.probe,
        seats=plan.seats,
        cap=plan.cap,
        rate=None,
        seed=plan.seed,
        requests=requests,
        engine=engine,
        settings=plan.settings,
    )


def _arrivals(plan: Plan, rate: float | None) -> list[float]:
    n = len(plan.prompts)
    if plan.trace is not None:
        return arrivals.trace(plan.trace, n, rate)
    return arrivals.burst(n) if rate is None else arrivals.gamma(n, rate, plan.cv, plan.seed)


def _labels(plan: Plan, policy: str, rate: float | None, load: float | None) -> dict[str, Any]:
    return {
        "policy": policy,
        "engine": engine_name(),
        "model": plan.model.name,
        "rate": rate,
        "load": load,
        "seats": plan.seats,
        "cap": plan.cap,
        "seed": plan.seed,
    }


def _write_requests(
    out: Path, number: int, requests: list[dict[str, Any]], lives: list[dict[str, Any]]
) -> None:
    """Every request of a run, a line each: what ``lengthwise simulate --replay`` reads."""
    prompts = {request["id"]: len(request["prompt_ids"]) for request in requests}
    kept = ("id", "arrival", "first", "finish", "longest_gap", "tokens")
    with (out / f"requests-{number}.jsonl").open("w") as lines:
        for life in lives:
            row = {name: life[name] for name in kept} | {"prompt_tokens": prompts[life["id"]]}
            lines.write(json.dumps(row) + "\n")


def _write(out: Path, plan: Plan, runs: list[dict[str, Any]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    setup = {
        "probe": plan.probe,
        "cv": plan.cv,
        "trace": plan.trace and str(plan.trace),
        "kv_blocks": plan.kv_blocks,
        "block_size": plan.block_size,
        "settings": plan.settings,
    }
    (out / "results.json").write_text(json.dumps({"setup": setup, "runs": runs}, indent=1) + "\n")
