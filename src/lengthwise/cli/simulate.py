"""``lengthwise simulate`` and ``lengthwise calibrate``."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lengthwise.cli.padded_options import CONTINUOUS, add_batches, batches_of, refuse_others
from lengthwise.core.checks import at_least, file_for, folder_for, not_negative, numbers, rates
from lengthwise.errors import UserError
from lengthwise.results.terminal import say

if TYPE_CHECKING:
    from lengthwise.sim.cluster import Death
    from lengthwise.sim.setup import Setup
    from lengthwise.workload import Workload

Commands = argparse._SubParsersAction  # the type has no public name


def add_simulate(commands: Commands[argparse.ArgumentParser]) -> None:
    """What would these policies do for this traffic on that engine?"""
    it = commands.add_parser("simulate", help="policies on your traffic, simulated")
    it.add_argument("workload", nargs="?", help="trace or lengths (CSV, JSONL, gzipped or not)")
    it.add_argument("--synthetic", help="instead: laws, constant:50,exp:200; or applications")
    it.add_argument("--replay", type=Path, help="instead: a folder of lengthwise bench, compared")
    it.add_argument("--profile", default="cpu-smollm2", help="step times: a name, or a file")
    it.add_argument("--policies", default="fcfs,trail,oracle", help="policy or policy@predictor")
    it.add_argument("--predictor", help="error model of the probe for --replay")
    it.add_argument(
        "--rates", help="requests/s, comma separated; trace: the workload's times (default); burst"
    )
    it.add_argument("--cv", type=float, default=1.0, help="variation of the gaps; 1 is Poisson")
    it.add_argument("--scaled", action="store_true", help="rates stretch the trace's own times")
    it.add_argument("--requests", type=int, help="resample so many from the workload")
    it.add_argument("--seeds", type=int, default=1, help="repetitions, for confidence intervals")
    it.add_argument("--seats", type=int, default=256)
    it.add_argument("--budget", type=int, default=2048, help="most tokens in a step")
    it.add_argument("--blocks", type=int, default=25_000, help="KV memory in blocks")
    it.add_argument("--block-size", type=int, default=16)
    it.add_argument("--recompute", action="store_true", help="discard the KV cache on preemption")
    it.add_argument("--swap-ms", type=float, help="evict by swapping; ms for a block out and in")
    it.add_argument("--cached", type=float, default=0.0, help="share that prefix caching saves")
    it.add_argument("--margin", type=float, default=8.0, help="tokens better to take a seat")
    it.add_argument("--interval", type=int, default=1, help="tokens between two refinements")
    it.add_argument("--until", type=int, help="also: seconds until N requests have finished")
    add_batches(it)
    it.add_argument("--workers", type=int, default=0, help="processes; 0 is one for each core")
    it.add_argument("--instances", help="several engines behind a router: 2,8,32; batches: 4")
    it.add_argument("--routers", default="least-in-flight,predicted", help="for --instances")
    it.add_argument("--loads", default="0.9", help="for --instances: shares of their capacity")
    it.add_argument("--report", type=float, default=1.0, help="seconds between load reports")
    it.add_argument("--stale", type=float, default=0.0, help="age in seconds of what routers know")
    it.add_argument("--deaths", help="INSTANCE:AT or INSTANCE:AT:BACK in seconds, comma separated")
    it.add_argument("--out", type=Path, default=Path("results/simulate"))
    it.set_defaults(run=_simulate)


def _simulate(args: argparse.Namespace) -> None:
    from lengthwise.sim.setup import Setup

    at_least(1, budget=args.budget)
    not_negative(swap_ms=args.swap_ms)
    setup = Setup(
        seats=args.seats,
        budget=max(args.budget, args.seats),
        blocks=args.blocks,
        block_size=args.block_size,
        pause=not args.recompute,
        margin=args.margin,
        eviction="recompute" if args.swap_ms is None else "swap",
        cached=args.cached,
        swap_s=(args.swap_ms or 0.0) / 1000.0,
        interval=args.interval,
    )
    given = [args.workload, args.synthetic, args.replay]
    if sum(each is not None for each in given) != 1:
        raise UserError("give a workload file, or --synthetic PROMPT,OUTPUT, or --replay FOLDER")
    folder_for(args.out)
    if args.replay is not None:
        _replay(args, setup)
    elif args.engine == CONTINUOUS and args.instances is not None:
        _fleets(args, setup)
    else:
        _sweep(args, setup)


def _replay(args: argparse.Namespace, setup: Setup) -> None:
    """What a bench served, once more."""
    if args.until is not None:
        raise UserError("--until goes with a workload: a replay compares what the bench has")
    from lengthwise.studies import replay

    rows = replay.compare(args.replay, args.profile, args.predictor, setup, args.seeds)
    replay.show(rows)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "replay.json").write_text(json.dumps(rows, indent=1) + "\n")


def _workload(args: argparse.Namespace) -> Workload:
    """A file's requests, or made-up ones: so many as asked for, or 10,000."""
    from lengthwise.workload import applications, read_workload, synthetic

    at_least(1, requests=args.requests)
    if args.synthetic is None:
        return read_workload(args.workload)
    if args.synthetic == "applications":
        return applications(args.requests or 10_000, 0)
    prompt, comma, output = args.synthetic.partition(",")
    if not comma:
        raise UserError("--synthetic takes two laws: constant:50,exp:200; or applications")
    return synthetic(args.requests or 10_000, prompt, output, 0)


def _sweep(args: argparse.Namespace, setup: Setup) -> None:
    """One engine, or instances that run padded batches."""
    from lengthwise.studies.sweep import BURST, Plan, show, sweep

    plan = Plan(
        _workload(args),
        args.policies.split(","),
        args.profile,
        setup,
        rates(args.rates or "trace", {"trace": None, "burst": BURST}),
        "trace" if args.scaled else "gamma",
        args.cv,
        # Made-up requests are as many as asked for already.
        args.requests if args.synthetic is None else None,
        args.seeds,
        args.workers,
        args.until,
    )
    if args.engine == CONTINUOUS:
        refuse_others(plan.policies)
        show(sweep(plan, args.out))
    else:
        from lengthwise.results.padded_table import show as show_batches

        served = sweep(replace(plan, serving=batches_of(args)), args.out)
        show_batches(served, "lengthwise simulate --engine batches (simulated seconds)")
    say(f"saved in {args.out / 'results.json'}")


def _fleets(args: argparse.Namespace, setup: Setup) -> None:
    """Several instances behind routers."""
    if args.rates is not None:
        raise UserError("--rates are of one engine: give --loads to --instances")
    from lengthwise.sim.cluster import Layout
    from lengthwise.studies.fleet_report import draw_fleets, show_fleets
    from lengthwise.studies.fleets import FleetPlan, fleet_sweep

    refuse_others(args.policies.split(","))
    counts = numbers("instances", args.instances)
    if not all(count.is_integer() for count in counts):
        raise UserError(f"--instances takes whole numbers like 2,8, not {args.instances!r}")
    deaths = _deaths(args.deaths)
    layouts = [Layout(int(count), args.report, args.stale, deaths) for count in counts]
    workload = _workload(args)
    plan = FleetPlan(
        workload,
        args.policies.split(","),
        args.routers.split(","),
        args.profile,
        setup,
        layouts,
        numbers("loads", args.loads),
        args.cv,
        args.requests or len(workload),
        args.seeds,
        args.workers,
        args.until,
    )
    runs = fleet_sweep(plan, args.out)
    show_fleets(runs)
    saved = [args.out / "results.json", *draw_fleets(runs, args.out)]
    say(f"saved in {', '.join(map(str, saved))}")


def _deaths(text: str | None) -> tuple[Death, ...]:
    from lengthwise.sim.cluster import Death

    try:
        fields = [each.split(":") for each in text.split(",")] if text else []
        return tuple(Death(int(one), *map(float, times)) for one, *times in fields)
    except (TypeError, ValueError):
        raise UserError(f"--deaths takes INSTANCE:AT or INSTANCE:AT:BACK, not {text!r}") from None


def add_calibrate(commands: Commands[argparse.ArgumentParser]) -> None:
    """Measure step times for the simulator."""
    it = commands.add_parser("calibrate", help="measure the engine's step times for simulate")
    it.add_argument("model", help="folder of the model")
    it.add_argument("--seats", type=int, default=16)
    it.add_argument("--requests", type=int, default=120)
    it.add_argument("--seed", type=int, default=0)
    it.add_argument("--out", type=Path, required=True, help="the profile, a JSON file")
    it.set_defaults(run=_calibrate)


def _calibrate(args: argparse.Namespace) -> None:
    from lengthwise.bench.calibrate import calibrate, check
    from lengthwise.models.fingerprint import model_folder
    from lengthwise.vllm.engine import preload_libraries

    file_for(args.out)
    model = model_folder(args.model)
    check(model, args.seats, args.requests, args.seed)
    preload_libraries()
    profile = calibrate(model, args.seats, args.requests, args.out.stem, args.seed)
    profile.save(args.out)
    say(
        f"a step takes {1000 * profile.base:.2f} ms, {1000 * profile.prefill:.4f} ms a prompt "
        f"token, {1000 * profile.decode:.3f} ms a decode, {1e6 * profile.context:.3f} µs a "
        f"context token; mean error {100 * profile.error:.1f} %; saved in {args.out}"
    )
