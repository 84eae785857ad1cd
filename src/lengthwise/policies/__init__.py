"""The policies, by name. Adding one is a file here, a line below and a test."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from lengthwise.core.policy import Policy
from lengthwise.errors import UserError
from lengthwise.policies.bounded import Bounded
from lengthwise.policies.fcfs import FCFS
from lengthwise.policies.magnus import Magnus
from lengthwise.policies.oracle import Oracle
from lengthwise.policies.scls import SCLS
from lengthwise.policies.sjf import SJF
from lengthwise.policies.sliced import Sliced
from lengthwise.policies.sprpt import SPRPT
from lengthwise.policies.trail import Trail
from lengthwise.policies.trail_early import TrailEarly

POLICIES: dict[str, type[Policy]] = {
    policy.name: policy for policy in (FCFS, SJF, SPRPT, Trail, TrailEarly, Oracle, SCLS, Magnus)
}

__all__ = [
    "FCFS",
    "POLICIES",
    "SCLS",
    "SJF",
    "SPRPT",
    "Bounded",
    "Magnus",
    "Oracle",
    "Sliced",
    "Trail",
    "TrailEarly",
    "make_policy",
]


def make_policy(spec: str) -> Policy:
    """Build a policy from ``name`` or ``name:ARGUMENT`` (``trail:0.5``, ``scls:128``).

    ``+bound``, ``+bound:THRESHOLD`` or ``+bound:THRESHOLD:QUANTUM`` after it bounds
    starvation (:class:`Bounded`): ``trail+bound:500``. ``+slice`` or ``+slice:TOKENS``
    serves in slices (:class:`Sliced`): ``fcfs+slice:64``.

    Raises:
        UserError: for an unknown name or an argument the policy does not take.
    """
    inner, plus, wrapper = spec.rpartition("+")
    if plus:
        return _wrapped(spec, make_policy(inner), wrapper)
    name, _, argument = spec.partition(":")
    if name not in POLICIES:
        raise UserError(f"unknown policy {name!r}: choose from {', '.join(sorted(POLICIES))}")
    policy = POLICIES[name]
    if not argument:
        return policy()
    parameters = list(inspect.signature(policy).parameters.values())
    if not parameters:
        raise UserError(f"policy {name!r} takes no argument, but got {argument!r}")
    number = int if parameters[0].annotation == "int" else float
    try:
        return policy(number(argument))  # type: ignore[call-arg]
    except ValueError as error:
        raise UserError(f"policy {spec!r}: {error}") from None


_WRAPPERS: dict[str, Callable[..., Policy]] = {"bound": Bounded, "slice": Sliced}
_SHAPES = "bound, bound:STEPS, bound:STEPS:TOKENS, slice or slice:TOKENS"


def _wrapped(spec: str, policy: Policy, wrapper: str) -> Policy:
    name, *numbers = wrapper.split(":")
    if name not in _WRAPPERS:
        raise UserError(f"policy {spec!r}: after + comes {_SHAPES}")
    try:
        return _WRAPPERS[name](policy, *map(int, numbers))
    except TypeError:
        raise UserError(f"policy {spec!r}: after + comes {_SHAPES}") from None
    except ValueError as error:
        raise UserError(f"policy {spec!r}: {error}") from None
