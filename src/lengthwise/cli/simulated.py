"""Flags of ``lengthwise simulate``, and the values they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lengthwise.cli import flags, reporting
from lengthwise.cli.traffic import Traffic
from lengthwise.core import checks
from lengthwise.report.files import check_file

if TYPE_CHECKING:
    from lengthwise.sim.setup import Setup
    from lengthwise.studies.sweep import Serving, SweepPlan


@dataclass(frozen=True)
class Arrivals:
    """Flags that say when requests arrive at one engine."""

    rates: str | None
    scaled: bool
    cv: float

    @property
    def own_times(self) -> bool:
        """Whether requests come when the workload says, and never at a rate."""
        return self.rates in (None, "trace")


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
    watermark: float

    def setup(self) -> Setup:
        """The engine as the simulator takes it.

        Raises:
            UserError: for a number out of range.
        """
        from lengthwise.sim.setup import Setup

        checks.at_least(1, budget=self.budget)
        checks.not_negative(swap_ms=self.swap_ms)
        checks.share(watermark=self.watermark)
        return Setup(
            seats=self.seats,
            budget=max(self.budget, self.seats),
            blocks=self.kv_blocks,
            block_size=self.block_size,
            reserve=round(self.watermark * self.kv_blocks),
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
    report: Path | None
    as_json: bool

    def check(self) -> None:
        """Refuse places where results or report cannot be written.

        Raises:
            UserError: names the flag.
        """
        checks.folder_for(self.out)
        check_file(self.report)

    @property
    def requests_in(self) -> Path | None:
        """Where runs leave their requests: a report needs them."""
        return None if self.report is None else self.out

    @property
    def results(self) -> Path:
        """The file of the results."""
        return self.out / "results.json"


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
    flags.watermark,
)

runs = flags.bundle(
    Runs,
    flags.repeat(1, "Independent runs, for confidence intervals."),
    flags.workers,
    flags.until,
    flags.out("results/simulate"),
    reporting.report,
    flags.as_json,
)

POLICIES = "fcfs,lengthwise,trail,oracle"
"""What is compared unless the user says."""

simulated = flags.policies(
    POLICIES,
    "Policies; policy@predictor says what it is told (default: nothing, if it can do without).",
)


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

    trace = traffic.read(arrivals.own_times)
    return SweepPlan(
        trace.workload,
        policies,
        profile,
        setup,
        checks.rates(arrivals.rates or "trace", {"trace": None, "burst": BURST}),
        "trace" if arrivals.scaled else "gamma",
        arrivals.cv,
        traffic.resampled(arrivals.own_times),
        runs.repeat,
        runs.workers,
        runs.until,
        serving,
        runs.requests_in,
        trace,
    )
