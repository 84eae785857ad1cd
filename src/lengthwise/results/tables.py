"""Runs as tables on the terminal: one way to make them, and the columns of each study."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lengthwise.results.record import Run
from lengthwise.results.runs import Group, change, grouped, interval, mean, times
from lengthwise.results.terminal import Table, say


def print_table(
    title: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    left: Collection[str] = (),
    width: int | None = None,
) -> None:
    """Print rows of plain text; columns are aligned to the right but for those of ``left``."""
    table = Table(title, heads, left, width=width)
    for row in rows:
        table.add_row(*row)
    table.print()


Cell = Callable[[Group, Group], str]
"""What a column shows of some runs of one kind; the second are those they are compared with."""


@dataclass(frozen=True)
class Column:
    """A column of a table of runs."""

    head: str
    cell: Cell
    left: bool = False


def label(name: str, head: str | None = None) -> Column:
    """A field that all runs of a row have in common."""
    return Column(head or name, lambda group, base: str(group[0][name]), left=True)


def figure(head: str, name: str, form: str, unit: str = "") -> Column:
    """A figure's mean; - where it is unset."""

    def cell(group: Group, base: Group) -> str:
        value = mean(group, name)
        return "-" if math.isnan(value) else f"{value:{form}}{unit}"

    return Column(head, cell)


def total(head: str, name: str) -> Column:
    """The sum over the runs."""
    return Column(head, lambda group, base: str(sum(run[name] for run in group)))


def faster(head: str, name: str) -> Column:
    """How many times the figure of the runs that these are compared with is theirs."""
    return Column(head, lambda group, base: times(mean(base, name), mean(group, name)))


def rate(group: Group, base: Group) -> str:
    """Requests per second, or what the arrivals are without one."""
    run = group[0]
    return run.get("arrivals", "burst") if run.rate is None else f"{run.rate:.4g}/s"


def until(runs: Group) -> list[Column]:
    """A column for ``--until``: the mean, or never if one did not get there; none if not asked."""

    def cell(group: Group, base: Group) -> str:
        seconds = [run.get("until_s") for run in group]
        return "never" if None in seconds else f"{np.mean(np.array(seconds)):.3g}s"

    asked = runs[0].get("until")
    return [Column(f"first {asked}", cell)] if asked else []


def print_runs(
    title: str,
    groups: Sequence[Group],
    peers: Sequence[str],
    columns: Sequence[Column],
    width: int,
) -> None:
    """Print a row for each group; each is compared with the first that has its ``peers``."""
    first: dict[tuple[Any, ...], Group] = {}
    rows = []
    for group in groups:
        base = first.setdefault(tuple(group[0].get(name) for name in peers), group)
        rows.append([column.cell(group, base) for column in columns])
    left = {column.head for column in columns if column.left}
    print_table(title, [column.head for column in columns], rows, left, width)


RATE = Column("rate", rate)


def show_bench(runs: Group) -> None:
    """A line for each run; the speed-up is against the first policy at the same rate."""
    several = len({run.get("predictors") for run in runs} - {None}) > 1
    told = {run.policy for run in runs if run.get("predictors") is not None}

    def policy(group: Group, base: Group) -> str:
        folder = group[0].get("predictors")
        name = group[0].policy
        if folder is None:
            return f"{name}@none" if name in told else name
        return f"{name}@{Path(folder).name}" if several else name

    def cost(group: Group, base: Group) -> str:
        run = group[0]
        ours = run["ranking_ms_per_step"] + run["predictor_ms_per_step"]
        return f"{100 * ours / run['step_ms']:.1f}%" if run["step_ms"] else "-"

    columns = [
        Column("policy", policy, left=True),
        RATE,
        *(figure(name, f"{name}_latency_s", ".2f", "s") for name in ("mean", "p50", "p99")),
        figure("TTFT", "mean_ttft_s", ".2f", "s"),
        figure("maxwait", "max_waiting_s", ".1f", "s"),
        figure("tok/s", "tokens_per_s", ".1f"),
        figure("preempt", "preemptions", ".0f"),
        figure("recomp", "recomputed_tokens", ".0f"),
        Column("sched+pred", cost),
        faster("speed-up", "mean_latency_s"),
    ]
    print_runs("lengthwise bench", [[run] for run in runs], ["rate"], columns, 140)
    show_tenants(runs)


def show_sweep(runs: Group) -> None:
    """A line for each policy and rate; ± is a 95 % confidence interval over the seeds."""

    def latency(group: Group, base: Group) -> str:
        middle, half = interval([run.get("mean_latency_s", math.nan) for run in group])
        return f"{middle:.3g}s" + ("" if math.isnan(half) else f" ±{half:.2g}")

    columns = [
        label("policy"),
        label("predictor"),
        RATE,
        Column("mean", latency),
        *(figure(name, f"{name}_latency_s", ".3g", "s") for name in ("p50", "p99")),
        figure("TTFT", "mean_ttft_s", ".3g", "s"),
        figure("maxwait", "max_waiting_s", ".3g", "s"),
        figure("tok/s", "tokens_per_s", ".0f"),
        figure("preempt", "preemptions", ".0f"),
        faster("speed-up", "mean_latency_s"),
        faster("TTFT-ratio", "mean_ttft_s"),
        *until(runs),
    ]
    groups = grouped(runs, ("rate", "arrivals", "policy", "predictor"))
    served = [group for group in groups if all(run.finished for run in group)]
    title = "lengthwise simulate (times in simulated seconds)"
    print_runs(title, served, ["rate", "arrivals"], columns, 150)
    for group in groups:
        if group not in served:
            say(f"{group[0].policy}@{group[0].get('predictor')}: all requests rejected")
    show_tenants(runs)
    _warn(runs)


def _warn(runs: Group) -> None:
    """Print which rates are above capacity, and how many requests were rejected."""
    for each in dict.fromkeys(run.rate for run in runs):
        if any(run.get("overloaded") for run in runs if run.rate == each):
            what = "the trace's own rate" if each is None else f"{each:g} requests/s"
            say(f"{what} is above capacity: requests pile up, and figures grow with their number")
    rejected = max(run.get("rejected", 0) for run in runs)
    if rejected:
        say(f"{rejected} requests are larger than the KV memory: rejected")


def show_padded(runs: Group, title: str) -> None:
    """A line for each system and rate, means over seeds; ratios to the rate's first system."""

    def policy(group: Group, base: Group) -> str:
        run = group[0]
        plain = run.get("predictor") in ("constant", None)
        return run.policy if plain else f"{run.policy}@{run['predictor']}"

    def throughput(group: Group, base: Group) -> str:
        return times(mean(group, "requests_per_s"), mean(base, "requests_per_s"))

    columns = [
        Column("policy", policy, left=True),
        RATE,
        figure("req/s", "requests_per_s", ".3g"),
        figure("tok/s", "tokens_per_s", ".0f"),
        *(figure(name, f"{name}_latency_s", ".3g") for name in ("mean", "p95", "p99")),
        figure("batch", "mean_batch_size", ".1f"),
        figure("slices", "slices_per_request", ".2f"),
        figure("invalid", "invalid_tokens", ".0f"),
        figure("pad", "pad_tokens", ".0f"),
        figure("early", "early_return_share", ".0%"),
        figure("imbal", "load_imbalance_s", ".3g"),
        figure("OOM", "oom_events", ".0f"),
        Column("throughput", throughput),
        faster("speed-up", "mean_latency_s"),
        *until(runs),
    ]
    groups = grouped(runs, ("rate", "arrivals", "policy", "predictor"))
    print_runs(title, groups, ["rate", "arrivals"], columns, 160)


def show_fleets(runs: Group) -> None:
    """A line for each router; p99 is compared, seed by seed, with the first router at its load.

    ± is the half width of a 95 % confidence interval over the seeds.
    """

    def finished(group: Group, base: Group) -> str:
        return f"{mean(group, 'requests_per_s'):.2f}"

    columns = [
        Column("N", lambda group, base: str(group[0]["instances"])),
        Column("load", lambda group, base: f"{group[0]['load']:g}"),
        *(label(name) for name in ("policy", "predictor", "router")),
        *(figure(name, f"{name}_latency_s", ".2f", "s") for name in ("mean", "p50", "p99")),
        _changed("p99-change", "p99_latency_s", "seed"),
        figure("TTFT", "mean_ttft_s", ".2f", "s"),
        figure("p99-TTFT", "p99_ttft_s", ".2f", "s"),
        figure("imbalance", "work_imbalance", ".2f"),
        Column("req/s", finished),
    ]
    peers = ("instances", "load", "policy", "predictor", "stale_s")
    groups = grouped([run for run in runs if run.finished], (*peers, "router"))
    title = "lengthwise simulate, several instances (simulated seconds)"
    print_runs(title, groups, peers, columns, 160)
    lost = sum(run["failed"] for run in runs)
    if lost:
        say(f"{lost} requests had begun to stream when their instance died: failed")


def show_routers(runs: Group) -> None:
    """A line for each policy, rate and router; changes are against the first router.

    A change is the mean over repeats of the change in each, where both served the same
    requests at the same times; ± is the half width of its 95 % confidence interval.
    """
    changes: list[Column] = []
    for head, name in (
        ("mean", "mean_latency_s"),
        ("p99", "p99_latency_s"),
        ("TTFT", "mean_ttft_s"),
    ):
        changes += [figure(head, name, ".2f", "s"), _changed("change", name, "repeat", own="-")]
    columns = [
        label("policy"),
        RATE,
        label("router"),
        *changes,
        figure("maxwait", "max_waiting_s", ".1f", "s"),
        figure("imbalance", "work_imbalance", ".2f"),
        total("other", "other_answers"),
        total("failed", "failed"),
    ]
    peers = ("policy", "predictors", "rate")
    groups = grouped(runs, (*peers, "router"))
    print_runs("lengthwise bench routers", groups, peers, columns, 150)


def _changed(head: str, name: str, by: str, own: str | None = None) -> Column:
    """The change in pairs; ``own`` stands in the row that the others are compared with."""

    def cell(group: Group, base: Group) -> str:
        return own if own is not None and group is base else change(group, base, name, by)

    return Column(head, cell)


def show_tenants(runs: Sequence[Run]) -> None:
    """A line for each tenant of each run that has several; Jain's index is over all of them."""
    rows = [
        [
            run.policy,
            "-" if run.rate is None else f"{run.rate:g}/s",
            name or "(none)",
            str(own.requests),
            str(own.output_tokens),
            *(f"{each:.2f}s" for each in (own.mean_latency_s, own.p99_latency_s, own.mean_ttft_s)),
            f"{run['jain_tenants']:.3f}" if "jain_tenants" in run else "-",
        ]
        for run in runs
        for name, own in run.get("tenants", {}).items()
    ]
    if rows:
        heads = ("policy", "rate", "tenant", "requests", "tokens", "mean", "p99", "TTFT", "Jain")
        print_table("by tenant", heads, rows, ("policy", "tenant"), 110)
