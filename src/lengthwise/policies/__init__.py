"""The policies, by name. Adding one, or a wrapper, is a file here, a line below and a test."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, get_type_hints

from lengthwise.core.policy import Policy
from lengthwise.core.service import Classes
from lengthwise.errors import UserError
from lengthwise.policies.boost import Boost
from lengthwise.policies.bounded import Bounded
from lengthwise.policies.edf import EDF
from lengthwise.policies.fair import Fair
from lengthwise.policies.fcfs import FCFS
from lengthwise.policies.foreseeing import Foreseeing
from lengthwise.policies.gittins import Gittins
from lengthwise.policies.hrrn import HRRN
from lengthwise.policies.hrrn_prompt import PromptHRRN
from lengthwise.policies.lengthwise import Lengthwise
from lengthwise.policies.ltr import LTR
from lengthwise.policies.magnus import Magnus
from lengthwise.policies.mlfq import MLFQ
from lengthwise.policies.oracle import Oracle
from lengthwise.policies.priority import Prioritised
from lengthwise.policies.registry import POLICIES, find_policy, register_policy
from lengthwise.policies.scls import SCLS
from lengthwise.policies.sjf import SJF
from lengthwise.policies.sliced import Sliced
from lengthwise.policies.spf import SPF
from lengthwise.policies.sprpt import SPRPT
from lengthwise.policies.ssjf import SSJF
from lengthwise.policies.targets import Targeted
from lengthwise.policies.tie import TIE
from lengthwise.policies.trail import Trail
from lengthwise.policies.trail_early import TrailEarly
from lengthwise.policies.wrapper import Wrapper

for _policy in (
    *(FCFS, SJF, SSJF, HRRN, LTR, MLFQ, SPRPT, Trail, TrailEarly, Oracle),
    *(SCLS, Magnus, Lengthwise),
    *(Boost, PromptHRRN, SPF, TIE, Gittins, EDF),
):
    register_policy(_policy)

WRAPPERS: dict[str, type[Wrapper]] = {
    wrapper.name: wrapper for wrapper in (Bounded, Fair, Foreseeing, Prioritised, Sliced, Targeted)
}

__all__ = [
    "EDF",
    "FCFS",
    "HRRN",
    "LTR",
    "MLFQ",
    "POLICIES",
    "SCLS",
    "SJF",
    "SPF",
    "SPRPT",
    "SSJF",
    "TIE",
    "WRAPPERS",
    "Boost",
    "Bounded",
    "Fair",
    "Foreseeing",
    "Gittins",
    "Lengthwise",
    "Magnus",
    "Oracle",
    "Prioritised",
    "PromptHRRN",
    "Sliced",
    "Targeted",
    "Trail",
    "TrailEarly",
    "Wrapper",
    "make_policy",
    "register_policy",
    "with_targets",
]


def make_policy(spec: str, classes: Classes | None = None) -> Policy:
    """Build a policy from ``name``, with arguments ``name:ARGUMENT:...`` (``trail:0.5``).

    Wrappers follow, each around what stands before it: ``trail:0.8+fair+bound:10s``. One's
    own policy is named as it was registered, or ``MODULE:CLASS``, with arguments after it.

    Args:
        classes: what is promised to whom, for policies that order by that.

    Raises:
        UserError: for an unknown name or an argument it does not take.
    """
    first, *wrappers = spec.split("+")
    name, *arguments = first.split(":")
    kind, arguments = find_policy(name, arguments)
    policy: Policy = _made(spec, "policy", kind, [], arguments)
    for wrapper in wrappers:
        name, *arguments = wrapper.split(":")
        if name not in WRAPPERS:
            raise UserError(f"policy {spec!r}: after + comes {', '.join(sorted(WRAPPERS))}")
        policy = _made(spec, "wrapper", WRAPPERS[name], [policy], arguments)
    if classes is not None:
        policy.promise(classes)
    return policy


def with_targets(spec: str) -> str:
    """The policy that ``lengthwise`` stands for where there are service classes.

    Any other policy stays what it is.
    """
    name = spec.partition(":")[0]
    plain = name == Lengthwise.name and "+" not in spec
    return f"{spec}+{Targeted.name}" if plain else spec


def _made(
    spec: str, what: str, kind: type[Policy], inner: Sequence[Policy], texts: Sequence[str]
) -> Any:
    """An object of the kind; its constructor's annotations give the types of the texts."""
    names = list(inspect.signature(kind).parameters)[len(inner) :]
    if len(texts) > len(names):
        wants = f"takes {':'.join(names).upper()} at most" if names else "takes no argument"
        raise UserError(f"{what} {kind.name!r} {wants}, but got {':'.join(texts)!r}")
    hints = get_type_hints(kind.__init__)
    makers = [hints.get(name, str) for name in names]
    try:
        values = [
            getattr(maker, "of", maker)(text) for maker, text in zip(makers, texts, strict=False)
        ]
        return kind(*inner, *values)
    except UserError:
        raise
    except (TypeError, ValueError) as error:
        raise UserError(f"policy {spec!r}: {error}") from None
