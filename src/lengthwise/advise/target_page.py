"""The section of the advice's page about service classes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lengthwise.advise.advice import Advice
from lengthwise.advise.attain import promised_classes
from lengthwise.advise.plan import Contender
from lengthwise.advise.target_tables import class_capacities
from lengthwise.advise.target_verdict import goodput
from lengthwise.report.charts.load import Curve, against_load
from lengthwise.report.parts import Chart, Section
from lengthwise.report.served import Served
from lengthwise.report.targets import TITLE, target_parts

MOST = 8
"""Runs in a chart: as many as there are colours."""


def target_sections(advice: Advice, every: Sequence[Served]) -> list[Section]:
    """What classes attain at the present load and at others; none without classes.

    Args:
        every: the requests of each contender at the present load.
    """
    if advice.classes is None:
        return []
    parts = [*_against_load(advice), *target_parts(every, advice.classes, MOST)]
    return [Section(TITLE, [*parts, class_capacities(advice)])]


def _against_load(advice: Advice) -> Iterator[Chart]:
    loads = advice.plan.loads
    yield _chart(
        advice,
        *("goodput-by-load", "goodput", "requests/s"),
        {each: [goodput(advice, each, load) for load in loads] for each in advice.plan.contenders},
    )
    for own in promised_classes(advice.plan):
        shares = {
            each: [100.0 * advice.shifts[each, load][own].after for load in loads]
            for each in advice.plan.contenders
        }
        yield _chart(advice, f"attained-by-load-{own}", f"attained by {own}", "%", shares)


def _chart(
    advice: Advice, name: str, what: str, unit: str, found: dict[Contender, list[float]]
) -> Chart:
    load = advice.plan.workload.rate * np.array(advice.plan.loads)
    unknown = np.full(len(load), np.nan)
    curves = [
        Curve(str(each), load, np.array(values), unknown, unknown) for each, values in found.items()
    ]
    return against_load(name, what, unit, curves[:MOST])
