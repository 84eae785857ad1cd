"""Figures: the closed form as lines, simulation as points with two standard errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes

from lengthwise.results.plotting import labelled, save
from lengthwise.theory.joint import Joint
from lengthwise.theory.mg1 import FCFS, LimitedSPRPT, Means
from lengthwise.theory.single_server import Estimate, Measured

SIZE = (6.0, 4.0)
"""Width and height of a figure, in inches."""

CURVE = 13
"""Points on a curve."""


@dataclass(frozen=True)
class Point:
    """One load and one C: the closed form and, if simulated, the measured means."""

    load: float
    c: float
    theory: Means
    simulated: Measured | None = None


def draw(joint: Joint, points: Sequence[Point], folder: Path) -> list[Path]:
    """Draw response time and memory against C, and response time against load, as PNG.

    Args:
        joint: the law the points come from, for the lines between them.
        folder: an existing one; figures there are overwritten.
    """
    steps = [i / (CURVE - 1) for i in range(CURVE)]
    loads = sorted({point.load for point in points})
    against_c = {
        load: {c: LimitedSPRPT(load / joint.moment(1), joint, c).means for c in steps}
        for load in loads
    }
    return [
        _against_c(against_c, points, "response", "mean response time", folder),
        _against_c(against_c, points, "memory", "mean memory (sum of ages)", folder),
        _against_load(joint, points, folder),
    ]


def _against_c(
    curves: dict[float, dict[float, Means]],
    points: Sequence[Point],
    what: str,
    label: str,
    folder: Path,
) -> Path:
    figure, axes = labelled("C", label, SIZE)
    for number, (load, curve) in enumerate(curves.items()):
        values = [getattr(means, what) for means in curve.values()]
        axes.plot(list(curve), values, color=f"C{number}", label=f"load {load:g}")
        here = [point for point in points if point.load == load]
        _errorbars(axes, here, lambda point: point.c, what, number)
    return save(figure, folder / f"{what}_against_c.png", axes)


def _against_load(joint: Joint, points: Sequence[Point], folder: Path) -> Path:
    figure, axes = labelled("load", "mean response time", SIZE)
    low, high = min(point.load for point in points), max(point.load for point in points)
    # The free share 1 - load shrinks by one factor: response grows fastest near saturation.
    first, last = 1 - min(0.1, low), 1 - high
    loads = [1 - first * (last / first) ** (i / (CURVE - 1)) for i in range(CURVE)]
    rates = [load / joint.moment(1) for load in loads]
    first_come = [FCFS(rate, joint).means.response for rate in rates]
    axes.plot(loads, first_come, color="0.6", linestyle="--", label="FCFS")
    for number, c in enumerate(sorted({point.c for point in points})):
        values = [LimitedSPRPT(rate, joint, c).means.response for rate in rates]
        axes.plot(loads, values, color=f"C{number}", label=f"C = {c:g}")
        here = [point for point in points if point.c == c]
        _errorbars(axes, here, lambda point: point.load, "response", number)
    axes.set_yscale("log")
    return save(figure, folder / "response_against_load.png", axes)


def _errorbars(
    axes: Axes,
    points: Iterable[Point],
    position: Callable[[Point], float],
    what: str,
    number: int,
) -> None:
    for point in points:
        if point.simulated is not None:
            estimate: Estimate = getattr(point.simulated, what)
            axes.errorbar(
                [position(point)],
                [estimate.mean],
                yerr=[2 * estimate.error],
                fmt="o",
                markersize=3,
                capsize=3,
                color=f"C{number}",
            )
