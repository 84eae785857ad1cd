"""``lengthwise theory``: the closed form as a table, a JSON file and figures."""

from __future__ import annotations

import argparse
import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.core.checks import at_least, folder_for
from lengthwise.errors import UserError
from lengthwise.results.terminal import Table, say

if TYPE_CHECKING:
    from lengthwise.theory.joint import Joint
    from lengthwise.theory.plots import Point
    from lengthwise.theory.single_server import Estimate


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``theory``."""
    it = commands.add_parser("theory", help="TRAIL's M/G/1 closed form against simulation")
    it.add_argument("--predictions", default="exponential", help="perfect or exponential")
    it.add_argument("--size", default="exp", help="exp, uniform, weibull or lognormal, of mean 1")
    it.add_argument("--loads", default="0.5,0.7,0.9", help="comma separated, between 0 and 1")
    it.add_argument("--c", default="0,0.2,0.5,0.8,1", help="values of C, comma separated")
    it.add_argument("--simulate", type=int, default=100_000, metavar="JOBS", help="0 for none")
    it.add_argument("--seed", type=int, default=0)
    it.add_argument("--out", type=Path, default=Path("results/theory"))
    it.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    loads = _numbers(args.loads, "--loads")
    cutoffs = _numbers(args.c, "--c")
    if not all(0 < load < 1 for load in loads):
        raise UserError(f"--loads {args.loads}: a load must be above 0 and below 1")
    if not all(0 <= c <= 1 for c in cutoffs):
        raise UserError(f"--c {args.c}: C must be between 0 and 1")
    at_least(0, seed=args.seed)
    folder_for(args.out)
    from lengthwise.policies import Trail
    from lengthwise.theory.mg1 import LimitedSPRPT
    from lengthwise.theory.plots import Point, draw
    from lengthwise.theory.single_server import MIN_JOBS, simulate

    if args.simulate and args.simulate < MIN_JOBS:
        raise UserError(f"--simulate {args.simulate}: at least {MIN_JOBS} jobs, or 0 for none")
    joint = _joint(args.predictions, args.size)
    args.out.mkdir(parents=True, exist_ok=True)
    points = []
    for load in loads:
        for c in cutoffs:
            rate = load / joint.moment(1)
            measured = (
                simulate(Trail(c), joint, rate, args.simulate, args.seed) if args.simulate else None
            )
            points.append(Point(load, c, LimitedSPRPT(rate, joint, c).means, measured))
    _show(joint, points, f"{args.predictions} predictions, {args.size} sizes of mean 1")
    _write(args, points)
    for path in draw(joint, points, args.out):
        say(path)


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


def _write(args: argparse.Namespace, points: list[Point]) -> None:
    content = {
        "predictions": args.predictions,
        "size": args.size,
        "jobs": args.simulate,
        "seed": args.seed,
        "points": [_as_json(point) for point in points],
    }
    (args.out / "theory.json").write_text(json.dumps(content, indent=1))


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
