"""Service classes in results: as results.json keeps them, and which class a request was in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lengthwise.core.classes_file import classes_of
from lengthwise.core.service import Classes, Sender
from lengthwise.results.attainment import promised
from lengthwise.results.record import Promised
from lengthwise.results.timings import Times
from lengthwise.workload.workload import Workload


def described(classes: Classes | None) -> dict[str, Any]:
    """Classes as JSON has them; empty without any."""
    return {} if classes is None else classes.plain()


def kept(setup: dict[str, Any]) -> Classes | None:
    """What :func:`described` wrote into a results.json's setup; None without classes.

    Raises:
        UserError: if what is there are no classes.
    """
    found = setup.get("classes")
    return classes_of(found, "the classes of results.json") if found else None


def services(
    classes: Classes | None, tenants: Sequence[str | None], priorities: Sequence[int]
) -> list[str]:
    """The names of the classes of n requests; none at all without classes.

    Args:
        tenants: n names (None: no tenant), or none at all.
        priorities: n priorities as clients send them.
    """
    if classes is None:
        return []
    known: dict[Sender, str] = {}
    found = []
    for tenant, priority in zip(tenants or [None] * len(priorities), priorities, strict=True):
        # A trace has many requests and few kinds of sender.
        sender = Sender(tenant, int(priority))
        if sender not in known:
            known[sender] = classes.of(sender).name
        found.append(known[sender])
    return found


def services_of(classes: Classes | None, workload: Workload) -> list[str]:
    """The names of the classes of a workload's requests; none at all without classes."""
    return services(classes, workload.tenant, workload.priority.tolist())


def held(classes: Classes | None, times: Times, service: Sequence[str]) -> Promised:
    """The figures of a run by class; all unset without classes."""
    return Promised() if classes is None else promised(times, service, classes)
