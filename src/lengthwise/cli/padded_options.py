"""Options of ``simulate`` and ``bench`` for systems that run padded batches to their end."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lengthwise.errors import UserError

if TYPE_CHECKING:
    from lengthwise.studies.padded import Batches

CONTINUOUS, SIMULATED, REAL = "continuous", "batches", "generate"
"""What ``--engine`` calls the simulator's two kinds, and transformers' generate."""


def add_batches(it: argparse.ArgumentParser) -> None:
    """Options of ``simulate --engine batches``."""
    engines = (CONTINUOUS, SIMULATED)
    it.add_argument("--engine", choices=engines, default=CONTINUOUS, help="kind of batching")
    it.add_argument("--cap", type=int, default=1024, help="batches: most tokens of an answer")
    add_common(it, 24_576)


def add_common(it: argparse.ArgumentParser, memory: int) -> None:
    """What both engines of padded batches have."""
    it.add_argument("--memory", type=int, default=memory, help="batches: KV tokens an instance")
    it.add_argument("--constants", default="", help="batches: like slice=64,gamma=0.5,size=8")


def batches_of(args: argparse.Namespace) -> Batches:
    """The simulated instances that the options describe.

    Raises:
        UserError: for a bad constant or number.
    """
    from lengthwise.padded import Constants
    from lengthwise.studies.padded import Batches

    if args.cap < 1:
        raise UserError(f"--cap must be at least 1, not {args.cap}")
    instances = args.instances or "1"
    if not instances.isdecimal():
        raise UserError(f"--engine {SIMULATED} takes one number of --instances, not {instances!r}")
    return Batches(int(instances), args.memory, args.cap, Constants.parse(args.constants))


def refuse_others(specs: Sequence[str], flag: str = f"--engine {SIMULATED}") -> None:
    """Refuse systems of batches where every step is scheduled; magnus and scls are of both.

    Raises:
        UserError: for one of them; it names the flag.
    """
    from lengthwise.padded import SYSTEMS
    from lengthwise.policies import POLICIES

    for spec in specs:
        name = spec.partition("@")[0]
        if name in {*SYSTEMS, "ccb", "vsq"} - POLICIES.keys():
            raise UserError(f"policy {name} runs whole batches: add {flag}")
