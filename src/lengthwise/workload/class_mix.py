"""Requests spread over service classes, for traces that do not say whose requests they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lengthwise.core.service import Classes
from lengthwise.errors import UserError
from lengthwise.workload.prompts import Prompt
from lengthwise.workload.workload import Workload


def parse_mix(text: str) -> dict[str, float]:
    """Shares of requests by class, from ``interactive=0.5,batch=0.5``.

    Raises:
        UserError: if it is no such list, or its shares do not sum to 1.
    """
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, share = part.partition("=")
        try:
            number = float(share)
        except ValueError:
            number = math.nan
        if not equals or not name or name in found or not 0.0 < number <= 1.0:
            raise UserError(
                f"--class-mix takes shares like interactive=0.5,batch=0.5, not {text!r}"
            )
        found[name] = number
    if not math.isclose(sum(found.values()), 1.0, abs_tol=1e-6):
        raise UserError(f"--class-mix: shares sum to 1, not {sum(found.values()):g}")
    return found


def check_mix(classes: Classes, mix: Mapping[str, float]) -> None:
    """Refuse a mix of classes that requests cannot be put into.

    Raises:
        UserError: if there is no such class, or nobody's requests are in it.
    """
    for name in mix:
        each = classes.named(name)
        if each is None:
            raise UserError(f"--class-mix: no class {name!r}: there are {', '.join(classes.names)}")
        if not each.tenants and name != classes.default:
            raise UserError(
                f'--class-mix: class {name!r} has no tenant: add tenants = ["{name}"] to it'
            )


def with_mix(workload: Workload, classes: Classes, mix: Mapping[str, float], seed: int) -> Workload:
    """The same requests, each of a class drawn by its share.

    A request gets the first tenant of its class (the default class may have none), and as its
    priority the first of the class's own, or else the place of the class in the file, so that
    policies that go by vLLM's priority serve earlier classes first.

    Raises:
        UserError: see :func:`check_mix`.
    """
    tenants, priorities = _drawn(len(workload), classes, mix, seed)
    return replace(workload, tenant=tuple(tenants), priority=np.array(priorities, np.int64))


def prompts_with_mix(
    prompts: Sequence[Prompt], classes: Classes, mix: Mapping[str, float], seed: int
) -> list[Prompt]:
    """The same of prompts for an engine.

    Raises:
        UserError: see :func:`check_mix`.
    """
    drawn = zip(prompts, *_drawn(len(prompts), classes, mix, seed), strict=True)
    return [replace(each, tenant=tenant, priority=rank) for each, tenant, rank in drawn]


def _drawn(
    count: int, classes: Classes, mix: Mapping[str, float], seed: int
) -> tuple[list[str | None], list[int]]:
    """Tenants and priorities of so many requests."""
    check_mix(classes, mix)
    places = {each.name: place for place, each in enumerate(classes.all)}
    found = [each for each in classes.all if each.name in mix]
    shares = np.array([mix[each.name] for each in found])
    drawn = np.random.default_rng([seed, 18]).choice(len(found), count, p=shares / shares.sum())
    tenants = [each.tenants[0] if each.tenants else None for each in found]
    ranks = [each.priorities[0] if each.priorities else places[each.name] for each in found]
    return [tenants[i] for i in drawn], [ranks[i] for i in drawn]
