"""What the figures say where classes are promised something: whether switching keeps promises."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator

from lengthwise.advise.advice import Advice
from lengthwise.advise.attain import promised_classes
from lengthwise.advise.plan import PRESENT, Contender, more
from lengthwise.advise.verdict import Verdict, piled_up, share, waits
from lengthwise.core.service import ServiceClass
from lengthwise.report.attained import Shift
from lengthwise.report.numbers import percent, plain, seconds
from lengthwise.report.tables.attainment import TITLES
from lengthwise.results.attainment import TARGETS
from lengthwise.results.record import ClassFigures, Promised

_NOTICED = 0.01
"""A change of a share of requests below which nobody notices it, however sure it is."""

_SLOWER = 0.10
"""A class's mean latency that rises by more than this is a price to be told."""


def target_verdict(advice: Advice, file: str) -> Verdict:
    """What to do, and why.

    Args:
        file: of the service classes, for the flag.
    """
    name = str(advice.advised)
    flag = f"lengthwise serve YOUR-MODEL --classes {shlex.quote(file)}"
    if not advice.advised.policy.startswith("lengthwise"):
        flag += f" --policy {advice.advised.policy}"
    later = next((load for load in advice.plan.loads if _gains(advice, load)), None)
    because = [*_out_of_reach(advice), *piled_up(advice), waits(advice)]
    if later == PRESENT:
        headline = f"Switch to {name}: {_said(advice, PRESENT)}."
        reasons = (*because, *_price(advice, PRESENT), *_borne(advice), *_unsure(advice))
        return Verdict(headline, reasons, True, flag)
    if all(_shift(advice, PRESENT, own).before >= advice.plan.attain for own in _promised(advice)):
        headline = f"Nothing to gain at the present load: {_attained(advice)} already."
    else:
        headline = f"{name} does not help at the present load: {_said(advice, PRESENT)}."
    if later is None:
        most = max(advice.plan.loads)
        because.append(f"Nor does it with {more(most)} requests, the most that was simulated.")
    else:
        because.append(f"It begins to help with {more(later)} requests: {_said(advice, later)}.")
        because += _price(advice, later)
    return Verdict(headline, (*because, *_borne(advice)), False, flag)


def _promised(advice: Advice) -> list[str]:
    return promised_classes(advice.plan)


def _shift(advice: Advice, load: float, own: str) -> Shift:
    return advice.shifts[advice.advised, load][own]


def _gains(advice: Advice, load: float) -> bool:
    """Whether a class attains more, noticeably and beyond doubt, and none attains less."""
    found = [_shift(advice, load, own) for own in _promised(advice)]
    rises = any(it.low > 0.0 and it.after - it.before > _NOTICED for it in found)
    return rises and not any(it.high < 0.0 and it.before - it.after > _NOTICED for it in found)


def _said(advice: Advice, load: float) -> str:
    """Goodput, and each class's attainment, from the first contender to the advised one."""
    before, after = (goodput(advice, each, load) for each in (advice.stock, advice.advised))
    change = f" ({percent(after / before - 1.0)})" if before > 0.0 else ""
    shares = ", ".join(
        f"{own} {_share(it.before)} → {_share(it.after)} ({it.between})"
        for own in _promised(advice)
        for it in [_shift(advice, load, own)]
    )
    return f"goodput {plain(before)} → {plain(after)} requests/s{change}; attained: {shares}"


def goodput(advice: Advice, contender: Contender, load: float) -> float:
    """Requests per second that got what they were promised; NaN without classes."""
    found = advice.promised[contender, load].goodput_requests_per_s
    return found if isinstance(found, float) else math.nan


def _attained(advice: Advice) -> str:
    said = ", ".join(
        f"{own} attains {_share(_shift(advice, PRESENT, own).before)}" for own in _promised(advice)
    )
    return said or "no class with requests is promised anything"


def _share(value: float) -> str:
    return f"{plain(100.0 * value)} %"


def _out_of_reach(advice: Advice) -> Iterator[str]:
    """Targets that no order meets: not even a request that is alone on the engine."""
    for own, found in _of(advice, advice.alone):
        missed = found.requests - found.met
        if own.name not in _promised(advice) or not missed:
            continue
        said = []
        for name in TARGETS:
            late = getattr(found, f"late_{name}")
            if isinstance(late, int) and late:
                said.append(f"{TITLES[name]} {seconds(getattr(own.target, name))}: {late:,}")
        if found.requests > found.finished:
            said.append(f"larger than the KV memory: {found.requests - found.finished:,}")
        yield (
            f"{missed:,} of {own.name}'s {found.requests:,} requests "
            f"({share(missed / found.requests)}) cannot get what is promised under any order: "
            f"they miss it alone on an idle engine ({', '.join(said)})."
        )


def _of(advice: Advice, found: Promised) -> Iterator[tuple[ServiceClass, ClassFigures]]:
    """The classes with requests, and their figures."""
    classes = found.classes if isinstance(found.classes, dict) else {}
    for each in () if advice.classes is None else advice.classes.all:
        if each.name in classes and classes[each.name].requests:
            yield each, classes[each.name]


def _price(advice: Advice, load: float) -> Iterator[str]:
    """Which classes lose: attainment, or a tenth of their mean latency."""
    old, new = (advice.promised[each, load] for each in (advice.stock, advice.advised))
    for (own, was), (_, now) in zip(_of(advice, old), _of(advice, new), strict=True):
        found = _shift(advice, load, own.name)
        if found.high < 0.0 and found.before - found.after > _NOTICED:
            yield f"The price: {own.name} attains {_share(found.before)} → {_share(found.after)}."
        means = was.mean_latency_s, now.mean_latency_s, was.p99_latency_s, now.p99_latency_s
        mean, later, p99, p99_later = (it if isinstance(it, float) else math.nan for it in means)
        if later > (1.0 + _SLOWER) * mean:
            yield (
                f"The price: {own.name}'s mean latency {seconds(mean)} → {seconds(later)}, "
                f"p99 {seconds(p99)} → {seconds(p99_later)}."
            )


def _unsure(advice: Advice) -> Iterator[str]:
    """What classes would attain at the ends of the calibration's interval."""
    said = []
    for speed in sorted({each.speed for each in advice.unsure}):
        found = advice.shifts_at(speed)
        shares = ", ".join(
            f"{own} {_share(found[own].before)} → {_share(found[own].after)}"
            for own in _promised(advice)
        )
        said.append(f"with steps that take {speed:.3g} times as long: {shares}")
    if said:
        yield f"The engine's speed is known within limits. Attained {'; '.join(said)}."


def _borne(advice: Advice) -> Iterator[str]:
    """The load up to which every class attains its share, under the first and the advised one."""
    names = _promised(advice)
    found = [
        {each.service: each.load for each in advice.class_capacities if each.contender == contender}
        for contender in (advice.stock, advice.advised)
    ]
    able = [own for own in names if all(own in loads for loads in found)]
    if able:
        now, then = (min(loads[own] for own in able) for loads in found)
        which = "every class" if able == names else " and ".join(able)
        wanted = f"{plain(100.0 * advice.plan.attain)} %"
        yield (
            f"{which[:1].upper()}{which[1:]} attains {wanted} {_up_to(then)} under "
            f"{advice.advised}, {_up_to(now)} under {advice.stock}."
        )


def _up_to(load: float) -> str:
    return f"up to {plain(load)} times the present traffic" if load else "at no load"
