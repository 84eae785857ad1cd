"""``lengthwise theory``: the closed form as a table, a JSON file and figures."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lengthwise.cli import flags
from lengthwise.cli.groups import examples, result_on_stdout
from lengthwise.core.checks import at_least, folder_for
from lengthwise.errors import UserError
from lengthwise.results.terminal import Table, say

if TYPE_CHECKING:
    from lengthwise.theory.joint import Joint
    from lengthwise.theory.plots import Point
    from lengthwise.theory.single_server import Estimate


@click.command(
    short_help="TRAIL's M/G/1 closed form against simulation.",
    epilog=examples("lengthwise theory --loads 0.7,0.9 --c 0,0.8,1 --size weibull"),
)
@flags.text("--predictions", "exponential", "LAW", "perfect or exponential.")
@flags.text("--size", "exp", "LAW", "exp, uniform, weibull or lognormal, of mean 1.")
@flags.loads("0.5,0.7,0.9", "Between 0 and 1.")
@flags.text("--c", "0,0.2,0.5,0.8,1", "X,...", "Values of TRAIL's C, from 0 to 1.")
@flags.whole("--jobs", 100_000, "Simulated for each point; 0 for none.")
@flags.seed
@flags.out("results/theory")
@flags.as_json
def theory(
    predictions: str,
    size: str,
    loads: str,
    c: str,
    jobs: int,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """TRAIL in the M/G/1: closed form and simulation, as a table, a JSON file and figures."""
    chosen, cutoffs = _numbers(loads, "--loads"), _numbers(c, "--c")
    if not all(0 < load < 1 for load in chosen):
        raise UserError(f"--loads {loads}: a load must be above 0 and below 1")
    if not all(0 <= cutoff <= 1 for cutoff in cutoffs):
        raise UserError(f"--c {c}: C must be between 0 and 1")
    at_least(0, seed=seed)
    folder_for(out)
    from lengthwise.theory.plots import draw
    from lengthwise.theory.single_server import MIN_JOBS

    if jobs and jobs < MIN_JOBS:
        raise UserError(f"--jobs {jobs}: at least {MIN_JOBS} jobs, or 0 for none")
    joint = _joint(predictions, size)
    out.mkdir(parents=True, exist_ok=True)
    points = _points(joint, chosen, cutoffs, jobs, seed)
    content = {
        "predictions": predictions,
        "size": size,
        "jobs": jobs,
        "seed": seed,
        "points": [_as_json(point) for point in points],
    }
    (out / "theory.json").write_text(json.dumps(content, indent=1))
    with result_on_stdout(as_json, out / "theory.json"):
        _show(joint, points, f"{predictions} predictions, {size} sizes of mean 1")
        for path in draw(joint, points, out):
            say(path)


def _points(
    joint: Joint, loads: list[float], cutoffs: list[float], jobs: int, seed: int
) -> list[Point]:
    """Closed form and simulation at every load and C."""
    from lengthwise.policies import Trail
    from lengthwise.theory.mg1 import LimitedSPRPT
    from lengthwise.theory.plots import Point
    from lengthwise.theory.single_server import simulate

    points = []
    for load in loads:
        for c in cutoffs:
            rate = load / joint.moment(1)
            measured = simulate(Trail(c), joint, rate, jobs, seed) if jobs else None
            points.append(Point(load, c, LimitedSPRPT(rate, joint, c).means, measured))
    return points


def _numbers(text: str, flag: str) -> list[float]:
    try:
        return sorted({float(number) for number in text.split(",")})
    except ValueError:
        raise UserError(f"{flag} {text}: numbers are like 0.5,0.9") from None


def _joint(predictions: str, size: str) -> Joint:
    from scipy import stats

    from lengthwise.theory.density import ExponentialPredictions
    from lengthwise.theory.perfect import PerfectPredictions

    # All of mean 1; their squared coefficients of variation are 1, 1/3, 5 and e - 1.
    sizes = {
        "exp": stats.expon(),
        "uniform": stats.uniform(0, 2),
        "weibull": stats.weibull_min(0.5, scale=0.5),
        "lognormal": stats.lognorm(1.0, scale=2.718281828459045**-0.5),
    }
    laws = {"perfect": PerfectPredictions, "exponential": ExponentialPredictions}
    if size not in sizes:
        raise UserError(f"unknown size distribution {size!r}: choose from {', '.join(sizes)}")
    if predictions not in laws:
        raise UserError(f"unknown predictions {predictions!r}: choose from {', '.join(laws)}")
    joint: Joint = laws[predictions](sizes[size])
    return joint


def _show(joint: Joint, points: list[Point], title: str) -> None:
    from lengthwise.theory.mg1 import FCFS

    heads = ("load", "C", "response", "preemptions", "memory")
    table = Table(title, heads, caption="theory, then simulation ± standard error")
    for load, group in groupby(points, key=lambda point: point.load):
        first_come = FCFS(load / joint.moment(1), joint).means
        table.add_row(f"{load:g}", "FCFS", *(_cell(mean, None) for mean in first_come))
        for point in group:
            simulated = point.simulated or (None, None, None)
            cells = map(_cell, point.theory, simulated)
            table.add_row("", f"{point.c:g}", *cells)
        table.add_section()
    table.print()


def _cell(theory: float, measured: Estimate | None) -> str:
    if measured is None:
        return f"{theory:.4f}"
    return f"{theory:.4f} {measured.mean:.3f}±{measured.error:.3f}"


def _as_json(point: Point) -> dict[str, Any]:
    simulated = point.simulated and {
        name: estimate._asdict() for name, estimate in point.simulated._asdict().items()
    }
    return {
        "load": point.load,
        "c": point.c,
        "theory": point.theory._asdict(),
        "simulated": simulated,
    }
