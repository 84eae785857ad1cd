"""``lengthwise simulate``: what would happen to this traffic on that engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lengthwise.cli import flags, reporting, values
from lengthwise.cli.groups import Modes, examples, result_on_stdout
from lengthwise.cli.padded import refuse_padded
from lengthwise.cli.service import Service, compared, service
from lengthwise.cli.simulated import (
    POLICIES,
    Arrivals,
    Engine,
    Runs,
    arrivals,
    engine,
    profile,
    runs,
    simulated,
    sweep_plan,
)
from lengthwise.cli.traffic import Traffic, traffic
from lengthwise.core import checks
from lengthwise.errors import UserError
from lengthwise.results.terminal import say

if TYPE_CHECKING:
    from lengthwise.sim.cluster import Death


@click.group(cls=Modes, short_help="Simulate policies, fleets or padded batches on your traffic.")
def simulate() -> None:
    """Simulate your traffic; without a mode, policies on one engine."""


@simulate.command(
    epilog=examples(
        "lengthwise simulate TRACE.csv --rates 10,20 --repeat 5",
        "lengthwise simulate --synthetic constant:50,exp:200 --rates burst --requests 2000",
        "lengthwise simulate TRACE.csv --policies fcfs,lengthwise,lengthwise@lognormal:0.8 "
        "--profile a100-llama3-8b",
        "lengthwise simulate TRACE.csv --classes builtin --class-mix interactive=0.6,batch=0.4",
    )
)
@traffic
@simulated
@arrivals
@service
@engine
@runs
def policies(
    traffic: Traffic,
    policies: list[str],
    arrivals: Arrivals,
    service: Service,
    engine: Engine,
    runs: Runs,
) -> None:
    """Simulate policies on one engine.

    WORKLOAD is a trace, a log, a benchmark's result or a file of lengths; its content tells
    the format.
    """
    from lengthwise.studies.sweep import Continuous, sweep

    runs.check()
    refuse_padded(policies, "lengthwise simulate padded")
    setup = replace(engine.setup(), classes=service.read())
    policies = compared(policies, POLICIES, setup.classes)
    plan = sweep_plan(traffic, policies, arrivals, engine.profile, setup, runs, Continuous())
    plan = replace(plan, workload=service.mixed(plan.workload))
    with result_on_stdout(runs.as_json, runs.results):
        served = sweep(plan, runs.out)
        from lengthwise.results.class_tables import show_attainment
        from lengthwise.results.tables import show_sweep

        show_sweep(served)
        show_attainment(served)
        say(f"saved in {runs.results}")
        reporting.write_report(runs.out, runs.report)


@simulate.command(
    epilog=examples(
        "lengthwise simulate padded --synthetic applications --rates 4 "
        "--policies vanilla,magnus,scls",
    )
)
@traffic
@flags.policies("vanilla,scls", "Systems of padded batches; system@predictor; vsq and ccb.")
@arrivals
@profile
@flags.instances(1, "Engines.")
@flags.max_tokens(1024)
@flags.kv_tokens(24_576, "KV tokens of an instance.")
@flags.constants
@runs
def padded(
    traffic: Traffic,
    policies: list[str],
    arrivals: Arrivals,
    profile: str,
    instances: int,
    max_tokens: int,
    kv_tokens: int,
    constants: str,
    runs: Runs,
) -> None:
    """Simulate systems that run padded batches to their end."""
    from lengthwise.padded import Constants
    from lengthwise.sim.setup import Setup
    from lengthwise.studies.padded import Batches
    from lengthwise.studies.sweep import sweep

    runs.check()
    serving = Batches(instances, kv_tokens, max_tokens, Constants.parse(constants))
    plan = sweep_plan(traffic, policies, arrivals, profile, Setup(), runs, serving)
    with result_on_stdout(runs.as_json, runs.results):
        served = sweep(plan, runs.out)
        from lengthwise.results.tables import show_padded

        show_padded(served, "lengthwise simulate padded (simulated seconds)")
        say(f"saved in {runs.results}")
        reporting.write_report(runs.out, runs.report)


@simulate.command(
    epilog=examples(
        "lengthwise simulate fleet TRACE.csv --instances 2,8,32 "
        "--routers least-in-flight,predicted --loads 0.9",
    )
)
@traffic
@simulated
@flags.routers
@click.option(
    "--instances",
    type=values.wholes,
    default="2,8",
    show_default=True,
    metavar="N,...",
    help="How many engines, one run for each number.",
)
@flags.loads("0.9", "Arrival rates as shares of what the engines can serve.")
@flags.cv
@flags.report_interval
@flags.number("--stale", 0.0, "Age in seconds of what routers know.")
@flags.text(
    "--deaths", None, "INSTANCE:AT[:BACK],...", "Engines that die and come back, in seconds."
)
@service
@engine
@runs
def fleet(
    traffic: Traffic,
    policies: list[str],
    routers: list[str],
    instances: tuple[int, ...],
    loads: str,
    cv: float,
    report_interval: float,
    stale: float,
    deaths: str | None,
    service: Service,
    engine: Engine,
    runs: Runs,
) -> None:
    """Simulate several engines behind routers."""
    from lengthwise.sim.cluster import Layout
    from lengthwise.studies.fleets import FleetPlan, fleet_sweep

    runs.check()
    refuse_padded(policies, "lengthwise simulate padded")
    setup, dying = replace(engine.setup(), classes=service.read()), _deaths(deaths)
    policies = compared(policies, POLICIES, setup.classes)
    layouts = [Layout(count, report_interval, stale, dying) for count in instances]
    trace = traffic.read(own_times=False)
    plan = FleetPlan(
        service.mixed(trace.workload),
        policies,
        routers,
        engine.profile,
        setup,
        layouts,
        checks.numbers("loads", loads),
        cv,
        traffic.requests or len(trace.workload),
        runs.repeat,
        runs.workers,
        runs.until,
        runs.requests_in,
        trace,
    )
    with result_on_stdout(runs.as_json, runs.results):
        served = fleet_sweep(plan, runs.out)
        from lengthwise.results.class_tables import show_attainment
        from lengthwise.results.tables import show_fleets
        from lengthwise.studies.fleet_report import draw_fleets

        show_fleets(served)
        show_attainment(served)
        saved = [runs.results, *draw_fleets(served, runs.out)]
        say(f"saved in {', '.join(map(str, saved))}")
        reporting.write_report(runs.out, runs.report)


@simulate.command(
    epilog=examples("lengthwise simulate replay results/bench --profile profile.json")
)
@click.argument("folder", type=values.PATH)
@flags.text("--predictor", None, "NAME", "What policies are told (default: what the bench used).")
@flags.repeat(1, "Draws of the predictor's errors.")
@engine
@flags.out("results/simulate")
@flags.as_json
def replay(
    folder: Path, predictor: str | None, repeat: int, engine: Engine, out: Path, as_json: bool
) -> None:
    """Serve the runs of a lengthwise bench in FOLDER again, simulated, and compare."""
    from lengthwise.results.files import as_json as json_of
    from lengthwise.studies import replay as replays

    checks.folder_for(out)
    checks.at_least(1, repeat=repeat)
    rows = replays.compare(folder, engine.profile, predictor, engine.setup(), repeat)
    out.mkdir(parents=True, exist_ok=True)
    (out / "replay.json").write_text(json_of(rows) + "\n")
    with result_on_stdout(as_json, out / "replay.json"):
        replays.show(rows)


def _deaths(text: str | None) -> tuple[Death, ...]:
    from lengthwise.sim.cluster import Death

    try:
        fields = [each.split(":") for each in text.split(",")] if text else []
        return tuple(Death(int(one), *map(float, times)) for one, *times in fields)
    except UserError:
        raise
    except (TypeError, ValueError):
        raise UserError(f"--deaths takes INSTANCE:AT or INSTANCE:AT:BACK, not {text!r}") from None
