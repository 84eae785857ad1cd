"""The advice's tables about service classes: what is attained at each load, and up to which."""

from __future__ import annotations

import math

from lengthwise.advise.advice import Advice
from lengthwise.advise.attain import promised_classes
from lengthwise.advise.plan import Contender
from lengthwise.advise.tables import load_name
from lengthwise.advise.target_verdict import goodput
from lengthwise.report.parts import Cell, Table


def attainment(advice: Advice) -> Table:
    """Goodput and attainment of every contender at every load, beside the first contender's."""
    names = promised_classes(advice.plan)
    rows: list[list[Cell]] = []
    for load in advice.plan.loads:
        for each in advice.plan.contenders:
            row: list[Cell] = [load_name(load), str(each), goodput(advice, each, load)]
            for own in names:
                found = advice.shifts[each, load][own]
                row += [100.0 * found.after, "" if each == advice.stock else str(found)]
            rows.append([*row, *_fairness(advice, each, load)])
    heads = ["load", "policy", "goodput (requests/s)"]
    heads += [head for own in names for head in (f"{own} attained (%)", "change")]
    return Table(
        "attained",
        "What each class would attain",
        [*heads, "Jain's index over classes"],
        rows,
        "Attained: the share of the class's requests that finished and met every target. Changes "
        f"are against {advice.stock} at the same load, in percentage points, with their 95 % "
        "interval over resampled blocks of requests. Goodput: requests of these classes that met "
        "their targets, for each second of the run. Jain's index is over the classes' mean latency "
        "per output token: 1 if all are served alike.",
    )


def class_capacities(advice: Advice) -> Table:
    """How much traffic each contender takes with each class's promises kept."""
    rate = advice.plan.workload.rate
    share = f"{100.0 * advice.plan.attain:g} %"
    rows: list[list[Cell]] = []
    for own in promised_classes(advice.plan):
        found = {each.contender: each for each in advice.class_capacities if each.service == own}
        for contender in advice.plan.contenders:
            it = found.get(contender)
            if it is None:
                rows.append([own, str(contender), "under no order", None, None])
                continue
            beyond = None if math.isinf(it.beyond) else it.beyond * rate
            rows.append([own, str(contender), it.load * rate, beyond, it.load])
    heads = ["class", "policy", "attained at (requests/s)", "not any more at (requests/s)"]
    return Table(
        "class-capacity",
        f"The most traffic with {share} of each class attained",
        [*heads, "as a factor of the present load"],
        rows,
        "The same requests of all classes, faster or slower. Both loads were simulated; they are "
        "at most 4 % apart where both are given. Under no order: fewer of the class's requests "
        "attain it even if each is alone on the engine.",
    )


def _fairness(advice: Advice, contender: Contender, load: float) -> list[Cell]:
    index = advice.promised[contender, load].jain_classes
    return [index if isinstance(index, float) else None]
