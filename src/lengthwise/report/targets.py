"""The part of a page about service classes: who got what was promised, and who did not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from lengthwise.core.service import Classes
from lengthwise.report.attained import Shift, promised_anything, shifts
from lengthwise.report.charts.attainment import attainment
from lengthwise.report.charts.distribution import ttft_of_class
from lengthwise.report.loads import Value, chart_of, field_value
from lengthwise.report.numbers import percent, plain
from lengthwise.report.parts import Cell, Part, Section, Table, Text
from lengthwise.report.results import Study
from lengthwise.report.served import Served
from lengthwise.report.tables.attainment import by_class, promise
from lengthwise.report.tables.missed import missed
from lengthwise.results.record import Run

TITLE = "Targets"

MOST_CLASSES = 6
"""Classes with a chart of their own."""


def target_parts(served: Sequence[Served], classes: Classes | None, most: int) -> list[Part]:
    """Attainment, the TTFT of each class beside what is promised, and the largest misses.

    Args:
        most: runs in a chart; tables have all of them.

    Returns:
        Nothing where there are no classes, or no requests that are in them.
    """
    if classes is None or not promised_anything(classes, served):
        return []
    known = [one for one in served if len(one.service)]
    some = known[:most]
    parts: list[Part] = [Text(f"Promised: {promises(classes)}."), attainment(some, classes)]
    parts.append(by_class(known, classes))
    there = [each for each in classes.all if any(each.name in one.service for one in some)]
    for each in there[:MOST_CLASSES]:
        own = [one.only(np.array(one.service) == each.name, one.name) for one in some]
        parts.append(ttft_of_class(each, own))
    if len(there) > MOST_CLASSES:
        parts.append(
            Text(f"Charts show the first {MOST_CLASSES} of {len(there)} classes; tables all.")
        )
    return [*parts, missed(known, classes)]


def promises(classes: Classes) -> str:
    """Each class and what it is promised, as part of a sentence."""
    return ", ".join(f"{each.name} ({promise(each.target)})" for each in classes.all)


def target_changes(
    pairs: Sequence[tuple[str, str, Served, Served]], classes: Classes | None, heads: Sequence[str]
) -> list[Section]:
    """The section of two results compared; none without classes.

    Args:
        pairs: name and traffic of each pair of runs, and the requests of both.
        heads: what the two results are called.
    """
    rows = [row for pair in pairs for row in _rows(*pair, classes)]
    if classes is None or not rows:
        return []
    columns = [
        *("run", "traffic", "class", "requests"),
        *(f"attained in {each} (%)" for each in heads),
        *("change (points)", "from (points)", "to (points)"),
    ]
    note = (
        "The share of the class's requests that finished and met every target. From and to: the "
        "95 % interval of the change over resampled blocks of requests, in percentage points."
    )
    title = f"Attainment: {heads[1]} against {heads[0]}"
    table = Table("attainment-changes", title, columns, rows, note)
    return [Section(TITLE, [Text(f"Promised: {promises(classes)}."), table])]


def _rows(
    name: str, traffic: str, before: Served, after: Served, classes: Classes | None
) -> Iterator[list[Cell]]:
    if classes is None or not len(before.service) or not len(after.service):
        return
    for own, found in shifts(before, after, classes).items():
        n = sum(each == own for each in after.service)
        if n or not math.isnan(found.before):
            change = 100.0 * (found.after - found.before)
            shares = [100.0 * each for each in (found.before, found.after)]
            ends = [100.0 * each for each in (found.low, found.high)]
            yield [name, traffic, own, n, *shares, change, *ends]


def target_sections(study: Study, most: int) -> list[Section]:
    """The section of a study; none where its requests are in no classes.

    Charts of single requests are at the heaviest traffic; goodput is at every load.

    Args:
        most: runs in a chart.
    """
    traffic = study.heaviest
    parts = [] if traffic is None else target_parts(study.at(traffic), study.classes, most)
    if parts and len(study.traffics) > 1:
        parts.insert(0, Text(f"Charts and tables of single requests are of {traffic}."))
    parts += _against_load(study, most)
    return [Section(TITLE, parts)] if parts else []


def target_verdicts(study: Study) -> Iterator[str]:
    """At each traffic, the run with the most goodput against the first run.

    True lengths are known to no server, so the oracle is not among them.
    """
    for traffic in study.traffics:
        served = {one.name: one for one in study.at(traffic) if len(one.service)}
        if study.classes is None or len(served) < 2:
            continue
        runs = {
            study.name_of(run): run["goodput_requests_per_s"]
            for run in reversed(study.runs)
            if study.traffic_of(run) == traffic and "goodput_requests_per_s" in run
        }
        base = next(iter(served))
        known = [name for name in served if name in runs and "oracle" not in name]
        if base not in runs or not known:
            continue
        best = max(known, key=lambda name: runs[name])
        if best == base:
            yield f"{traffic}: no goodput is above that of {base}, {plain(runs[base])} requests/s."
            continue
        every = shifts(served[base], served[best], study.classes)
        found = {own.name: every[own.name] for own in study.classes.all if own.target}
        said = said_of(best, base, (runs[base], runs[best]), found)
        if not any(it.sure for it in found.values()):
            said = f"no goodput is clearly above that of {base}: {said}"
        yield f"{traffic}: {said}"


def said_of(name: str, base: str, goodput: tuple[float, float], found: dict[str, Shift]) -> str:
    """One run's goodput and attainment against another's, in a sentence.

    Args:
        name, base: of the run, and of the one it is compared with.
        goodput: requests per second that met their targets: of the base, and of the run.
        found: the classes' shares in both.
    """
    said = ", ".join(
        f"{own} {plain(100.0 * it.before)} % → {plain(100.0 * it.after)} % ({it.between})"
        for own, it in found.items()
        if not math.isnan(it.after - it.before)
    )
    rate = f"{plain(goodput[1])} requests/s"
    if goodput[0] > 0.0:
        rate += f" ({percent(goodput[1] / goodput[0] - 1.0)} against {base})"
    return f"{name} has a goodput of {rate}; attained: {said}."


def _against_load(study: Study, most: int) -> Iterator[Part]:
    if not any("goodput_requests_per_s" in run for run in study.runs):
        return
    drawn = [("goodput-by-load", "goodput", "requests/s", field_value("goodput_requests_per_s"))]
    every = [] if study.classes is None else [own for own in study.classes.all if own.target]
    for each in every[:MOST_CLASSES]:
        what = f"attained by {each.name}"
        drawn.append((f"attained-by-load-{each.name}", what, "%", _share_of(each.name)))
    for chart in (chart_of(study, *it, most) for it in drawn):
        if chart is not None:
            yield chart


def _share_of(name: str) -> Value:
    """Attainment of a class in per cent."""

    def value(run: Run) -> float:
        own = run.get("classes", {}).get(name)
        share = None if own is None else own.attained_share
        return math.nan if share is None else 100.0 * share

    return value
