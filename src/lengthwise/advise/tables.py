"""The advice's own tables: what changes at each load, what is borne, how sure it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lengthwise.advise.advice import MEAN, P99, TTFT, TTFT_P99, Advice
from lengthwise.advise.plan import PRESENT, Contender, more
from lengthwise.report.change import Figure
from lengthwise.report.parts import Cell, Table
from lengthwise.report.served import Served

_FIGURES = (MEAN, P99, TTFT, TTFT_P99)

TOLD = (
    "Policies are told nothing, or what stands behind the @: data is what the trace itself tells "
    "of a request when it comes, oracle its true length, which is the limit."
)


def at_loads(advice: Advice) -> Table:
    """Every contender at every load, each figure beside the first contender's."""
    rows: list[list[Cell]] = []
    for load in advice.plan.loads:
        for each in advice.plan.contenders:
            run = advice.run(each, load)
            figures = _figures(advice, each, load, _FIGURES)
            last = (_longest(advice.served(run)), run.outcome.evictions)
            rows.append([load_name(load), str(each), *figures, *last])
    return Table(
        "loads",
        "What each policy would change",
        ["load", "policy", *_heads(_FIGURES), "longest TTFT (s)", "evictions"],
        rows,
        f"Changes are against {advice.stock} at the same load, of the same requests at the same "
        "times; in brackets their 95 % interval over resamples of the trace in blocks of time. "
        f"{TOLD}",
    )


def present(advice: Advice) -> Table:
    """The contenders at the present load, short."""
    shown = (MEAN, P99, TTFT)
    rows: list[list[Cell]] = [
        [str(each), *_figures(advice, each, PRESENT, shown)] for each in advice.plan.contenders
    ]
    return Table("present", "At the present load", ["policy", *_heads(shown)], rows, TOLD)


def by_load(advice: Advice, figure: Figure) -> Table:
    """One figure's change under each contender, a column for each load."""
    stock, loads = advice.stock, advice.plan.loads
    rows: list[list[Cell]] = [
        [str(stock), *(advice.change(stock, load, figure).after for load in loads)]
    ]
    for each in advice.plan.contenders:
        if each != stock:
            rows.append([str(each), *(str(advice.change(each, load, figure)) for load in loads)])
    name = figure.name.replace(" ", "-").lower()
    return Table(
        f"{name}-changes",
        f"{figure.name}: seconds under {stock}, and the change under the others, by load",
        ["policy", *map(load_name, loads)],
        rows,
    )


def capacities(advice: Advice) -> Table:
    """How much more traffic each contender takes."""
    target = advice.plan.target
    base = next((each for each in advice.capacities if each.contender == advice.stock), None)
    rate = advice.plan.workload.rate
    rows: list[list[Cell]] = []
    for each in advice.capacities:
        beyond = None if math.isinf(each.beyond) else each.beyond * rate
        more = each.load / base.load - 1.0 if base is not None and base.load else None
        rows.append(
            [
                str(each.contender),
                each.load * rate,
                beyond,
                each.load,
                "" if more is None or each is base else f"{100 * more:+.0f} %",
            ]
        )
    heads = ["policy", "within the target at (requests/s)", "not any more at (requests/s)"]
    return Table(
        "capacity",
        f"The most traffic with 99 % of the first tokens within {target:g} s",
        [*heads, "as a factor of the present load", f"more than {advice.stock}"],
        rows,
        "The same requests, faster or slower. Both loads were simulated; they are at most 4 % "
        "apart where both are given.",
    )


def unsure(advice: Advice) -> Table:
    """The advised policy's changes if the engine is faster or slower than estimated."""
    speeds = sorted({1.0, *(each.speed for each in advice.unsure)})
    rows: list[list[Cell]] = [
        [speed, *(str(advice.change_at(speed, figure)) for figure in _FIGURES)] for speed in speeds
    ]
    return Table(
        "unsure",
        f"{advice.advised} against {advice.stock}, if steps take longer or shorter than estimated",
        ["seconds of a step, as a factor", *(figure.name for figure in _FIGURES)],
        rows,
        "The factors are the ends of the calibration's own 95 % interval.",
    )


def _figures(
    advice: Advice, contender: Contender, load: float, figures: Sequence[Figure]
) -> list[Cell]:
    """Each figure, and its change beside it; none of the first contender's."""
    cells: list[Cell] = []
    for figure in figures:
        found = advice.change(contender, load, figure)
        cells += [found.after, "" if contender == advice.stock else str(found)]
    return cells


def _heads(figures: Sequence[Figure]) -> list[str]:
    return [head for each in figures for head in (f"{each.name} (s)", "change")]


def _longest(served: Served) -> float | None:
    known = served.ttft[np.isfinite(served.ttft)]
    return float(known.max()) if len(known) else None


def load_name(load: float) -> str:
    """``present``, or how much more."""
    return "present" if load == PRESENT else more(load)
