"""The policies, by name. Adding one is a file here, a line below and a test."""

from __future__ import annotations

import inspect

from lengthwise.core.policy import Policy
from lengthwise.errors import UserError
from lengthwise.policies.bounded import Bounded
from lengthwise.policies.fcfs import FCFS
from lengthwise.policies.oracle import Oracle
from lengthwise.policies.sjf import SJF
from lengthwise.policies.sprpt import SPRPT
from lengthwise.policies.trail import Trail
from lengthwise.policies.trail_early import TrailEarly

POLICIES: dict[str, type[Policy]] = {
    policy.name: policy for policy in (FCFS, SJF, SPRPT, Trail, TrailEarly, Oracle)
}

__all__ = [
    "FCFS",
    "POLICIES",
    "SJF",
    "SPRPT",
    "Bounded",
    "Oracle",
    "Trail",
    "TrailEarly",
    "make_policy",
]


def make_policy(spec: str) -> Policy:
    """Build a policy from ``name`` or ``name:C`` (``trail:0.5``).

    ``+bound``, ``+bound:THRESHOLD`` or ``+bound:THRESHOLD:QUANTUM`` after it bounds
    starvation (:class:`Bounded`): ``trail+bound:500``.

    Raises:
        UserError: for an unknown name or an argument the policy does not take.
    """
    inner, plus, wrapper = spec.rpartition("+")
    if plus:
        return _bounded(spec, make_policy(inner), wrapper)
    name, _, argument = spec.partition(":")
    if name not in POLICIES:
        raise UserError(f"unknown policy {name!r}: choose from {', '.join(sorted(POLICIES))}")
    policy = POLICIES[name]
    if not argument:
        return policy()
    if "c" not in inspect.signature(policy).parameters:
        raise UserError(f"policy {name!r} takes no argument, but got {argument!r}")
    try:
        return policy(c=float(argument))  # type: ignore[call-arg]
    except ValueError as error:
        raise UserError(f"policy {spec!r}: {error}") from None


def _bounded(spec: str, policy: Policy, wrapper: str) -> Bounded:
    name, *numbers = wrapper.split(":")
    if name != "bound" or len(numbers) > 2:
        raise UserError(f"policy {spec!r}: after + comes bound, bound:STEPS or bound:STEPS:TOKENS")
    try:
        return Bounded(policy, *map(int, numbers))
    except ValueError as error:
        raise UserError(f"policy {spec!r}: {error}") from None
