"""``lengthwise simulate``: what would happen to this traffic on that engine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lengthwise.cli import flags, values
from lengthwise.cli.groups import Modes, examples, result_on_stdout
from lengthwise.cli.padded import refuse_padded
from lengthwise.core import checks
from lengthwise.errors import UserError
from lengthwise.results.terminal import say

if TYPE_CHECKING:
    from lengthwise.sim.cluster import Death
    from lengthwise.sim.setup import Setup
    from lengthwise.studies.sweep import Serving, SweepPlan
    from lengthwise.workload import Workload


@click.group(cls=Modes, short_help="Simulate policies, fleets or padded batches on your traffic.")
def simulate() -> None:
    """Simulate your traffic; without a mode, policies on one engine."""


@dataclass(frozen=True)
class Traffic:
    """Flags that say what is served."""

    workload: str | None
    synthetic: str | None
    requests: int | None

    @property
    def resampled(self) -> int | None:
        """How many requests to resample; None serves the workload as it is.

        Made-up requests are as many as asked for already.
        """
        return self.requests if self.synthetic is None else None

    def read(self) -> Workload:
        """A file's requests, or made-up ones: so many as asked for, or 10,000.

        Raises:
            UserError: for no workload, two, or a bad one.
        """
        from lengthwise.workload import applications, read_workload, synthetic

        checks.at_least(1, requests=self.requests)
        if self.synthetic is None and self.workload is not None:
            return read_workload(self.workload)
        if self.synthetic is None or self.workload is not None:
            raise UserError("give a workload file, or --synthetic PROMPT,OUTPUT")
        if self.synthetic == "applications":
            return applications(self.requests or 10_000, 0)
        prompt, comma, output = self.synthetic.partition(",")
        if not comma:
            raise UserError("--synthetic takes two laws: constant:50,exp:200; or applications")
        return synthetic(self.requests or 10_000, prompt, output, 0)


@dataclass(frozen=True)
class Arrivals:
    """Flags that say when requests arrive at one engine."""

    rates: str | None
    scaled: bool
    cv: float


@dataclass(frozen=True)
class Engine:
    """Flags of a simulated engine with continuous batching."""

    profile: str
    seats: int
    budget: int
    kv_blocks: int
    block_size: int
    recompute: bool
    swap_ms: float | None
    cached: float
    margin: float
    predict_interval: int

    def setup(self) -> Setup:
        """The engine as the simulator takes it.

        Raises:
            UserError: for a number out of range.
        """
        from lengthwise.sim.setup import Setup

        checks.at_least(1, budget=self.budget)
        checks.not_negative(swap_ms=self.swap_ms)
        return Setup(
            seats=self.seats,
            budget=max(self.budget, self.seats),
            blocks=self.kv_blocks,
            block_size=self.block_size,
            pause=not self.recompute,
            margin=self.margin,
            eviction="recompute" if self.swap_ms is None else "swap",
            cached=self.cached,
            swap_s=(self.swap_ms or 0.0) / 1000.0,
            interval=self.predict_interval,
        )


@dataclass(frozen=True)
class Runs:
    """Flags of how often, and where results go."""

    repeat: int
    workers: int
    until: int | None
    out: Path
    as_json: bool

    @property
    def results(self) -> Path:
        """The file of the results."""
        return self.out / "results.json"


traffic = flags.bundle(
    Traffic,
    click.argument("workload", required=False),
    flags.text(
        "--synthetic",
        None,
        "LAWS",
        "Instead of a file: laws of lengths, constant:50,exp:200; or applications.",
    ),
    flags.requests("Resample so many from the workload (default: serve it as it is)."),
)

arrivals = flags.bundle(
    Arrivals,
    flags.rates("Requests per second; burst; or trace, the workload's own times (the default)."),
    click.option("--scaled", is_flag=True, help="Rates stretch the workload's own times."),
    flags.cv,
)

profile = flags.text(
    "--profile",
    "cpu-smollm2",
    "NAME",
    "Step times: a shipped profile, or a file of lengthwise calibrate.",
)

engine = flags.bundle(
    Engine,
    profile,
    flags.seats(256),
    flags.whole("--budget", 2048, "Most tokens in one step (vLLM's max_num_batched_tokens)."),
    flags.kv_blocks(25_000, "KV memory in blocks."),
    flags.block_size(16),
    flags.recompute,
    flags.number("--swap-ms", None, "Evict by swapping: milliseconds to copy a block out and in."),
    flags.number("--cached", 0.0, "Share of an evicted request's tokens that stay cached."),
    flags.margin,
    flags.predict_interval("Tokens of a request between two refinements of its prediction."),
)

runs = flags.bundle(
    Runs,
    flags.repeat(1, "Independent runs, for confidence intervals."),
    flags.workers,
    flags.until,
    flags.out("results/simulate"),
    flags.as_json,
)

simulated = flags.policies("fcfs,trail,oracle", "Policies; policy@predictor says what it is told.")


def sweep_plan(
    traffic: Traffic,
    policies: list[str],
    arrivals: Arrivals,
    profile: str,
    setup: Setup,
    runs: Runs,
    serving: Serving,
) -> SweepPlan:
    """The plan of the modes with one queue."""
    from lengthwise.studies.sweep import BURST, SweepPlan

    return SweepPlan(
        traffic.read(),
        policies,
        profile,
        setup,
        checks.rates(arrivals.rates or "trace", {"trace": None, "burst": BURST}),
        "trace" if arrivals.scaled else "gamma",
        arrivals.cv,
        traffic.resampled,
        runs.repeat,
        runs.workers,
        runs.until,
        serving,
    )


@simulate.command(
    epilog=examples(
        "lengthwise simulate TRACE.csv --policies fcfs,trail,oracle --rates 10,20 --repeat 5",
        "lengthwise simulate --synthetic constant:50,exp:200 --rates burst --requests 2000",
        "lengthwise simulate TRACE.csv --policies fcfs,trail@lognormal:0.8+refined "
        "--profile a100-llama3-8b",
    )
)
@traffic
@simulated
@arrivals
@engine
@runs
def policies(
    traffic: Traffic, policies: list[str], arrivals: Arrivals, engine: Engine, runs: Runs
) -> None:
    """Simulate policies on one engine.

    WORKLOAD is a trace, or lengths: CSV or JSONL, gzipped or not.
    """
    from lengthwise.studies.sweep import Continuous, sweep

    checks.folder_for(runs.out)
    refuse_padded(policies, "lengthwise simulate padded")
    setup = engine.setup()
    plan = sweep_plan(traffic, policies, arrivals, engine.profile, setup, runs, Continuous())
    with result_on_stdout(runs.as_json, runs.results):
        served = sweep(plan, runs.out)
        from lengthwise.results.tables import show_sweep

        show_sweep(served)
        say(f"saved in {runs.results}")


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

    checks.folder_for(runs.out)
    serving = Batches(instances, kv_tokens, max_tokens, Constants.parse(constants))
    plan = sweep_plan(traffic, policies, arrivals, profile, Setup(), runs, serving)
    with result_on_stdout(runs.as_json, runs.results):
        served = sweep(plan, runs.out)
        from lengthwise.results.tables import show_padded

        show_padded(served, "lengthwise simulate padded (simulated seconds)")
        say(f"saved in {runs.results}")


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
    engine: Engine,
    runs: Runs,
) -> None:
    """Simulate several engines behind routers."""
    from lengthwise.sim.cluster import Layout
    from lengthwise.studies.fleets import FleetPlan, fleet_sweep

    checks.folder_for(runs.out)
    refuse_padded(policies, "lengthwise simulate padded")
    setup, dying = engine.setup(), _deaths(deaths)
    layouts = [Layout(count, report_interval, stale, dying) for count in instances]
    workload = traffic.read()
    plan = FleetPlan(
        workload,
        policies,
        routers,
        engine.profile,
        setup,
        layouts,
        checks.numbers("loads", loads),
        cv,
        traffic.requests or len(workload),
        runs.repeat,
        runs.workers,
        runs.until,
    )
    with result_on_stdout(runs.as_json, runs.results):
        served = fleet_sweep(plan, runs.out)
        from lengthwise.results.tables import show_fleets
        from lengthwise.studies.fleet_report import draw_fleets

        show_fleets(served)
        saved = [runs.results, *draw_fleets(served, runs.out)]
        say(f"saved in {', '.join(map(str, saved))}")


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
