"""Service classes in words, for the terminal."""

from __future__ import annotations

from lengthwise.core.service import Classes, ServiceClass, Target
from lengthwise.results.tables import print_table
from lengthwise.results.terminal import say

_HUMAN_TPOT = 0.01
"""Seconds a token below which no engine of today serves a batch."""


def show_classes(classes: Classes, name: str) -> None:
    """A table of the classes, and what can never hold."""
    rows = [
        (each.name, _members(each, classes), _promise(each.target), f"{100 * each.share:g} %")
        for each in classes.all
    ]
    heads = ("class", "whose requests", "what each request gets", "share it cannot lose")
    print_table(f"service classes of {name}", heads, rows, left=heads[:3])
    say("where promises cannot all be kept, those of later classes give way first")
    for line in warnings(classes):
        say(f"note: {line}")


def warnings(classes: Classes) -> list[str]:
    """What can never hold, and what nobody can be in."""
    found = []
    if not classes.promised:
        found.append("no class is promised anything: requests go as they do without this file")
    for each in classes.all:
        target = each.target
        least = target.ttft or 0.0
        if target.deadline is not None and least > target.deadline:
            found.append(
                f"class {each.name}: its first token may come after its deadline: ttft is never "
                "what is missed first"
            )
        if target.tpot is not None and target.tpot < _HUMAN_TPOT:
            found.append(
                f"class {each.name}: a tpot of {_time(target.tpot)} is less than a step of most "
                "engines takes, whatever the order"
            )
        if not (each.tenants or each.tiers or each.priorities) and each.name != classes.default:
            if classes.clients_choose:
                continue
            found.append(
                f"class {each.name}: no request can be in it: name tenants, tiers or "
                "priorities, or set clients_choose = true"
            )
    if classes.clients_choose:
        found.append("any client may ask for any class (clients_choose): trust all of them")
    return found


def _promise(target: Target) -> str:
    parts = []
    if target.ttft is not None:
        parts.append(f"its first token within {_time(target.ttft)}")
    if target.tpot is not None:
        parts.append(f"{_time(target.tpot)} or less for each token after it, on average")
    if target.deadline is not None:
        parts.append(f"its whole answer within {_time(target.deadline)}")
    return "; ".join(parts) or "nothing is promised: it fills what is left"


def _members(each: ServiceClass, classes: Classes) -> str:
    parts = [
        f"{what} {', '.join(map(str, found))}"
        for what, found in (
            ("tenants", each.tenants),
            ("service_tier", each.tiers),
            ("priority", each.priorities),
        )
        if found
    ]
    if each.name == classes.default:
        parts.append("all others")
    if classes.clients_choose:
        parts.append("whoever asks for it")
    return "; ".join(parts) or "nobody's"


def _time(seconds: float) -> str:
    for size, unit in ((3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{1000 * seconds:g} ms"
