"""Options of ``lengthwise bench --engine generate``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lengthwise.cli.padded_options import REAL, add_common

if TYPE_CHECKING:
    from lengthwise.bench.plan import Plan


def add_generate(it: argparse.ArgumentParser) -> None:
    """The engine, and what only transformers' generate takes."""
    it.add_argument("--engine", choices=("vllm", REAL), default="vllm", help="what serves")
    it.add_argument("--instances", type=int, default=1, help="batches: how many engines")
    add_common(it, 0)
    it.add_argument("--learn", help="batches: collected folders, for Magnus to go on learning")
    it.add_argument("--slice-time", type=Path, help="batches: slice_time.json of an earlier run")


def compare_batches(plan: Plan, args: argparse.Namespace) -> None:
    """Run the plan on transformers' generate.

    Raises:
        UserError: for bad options.
    """
    from lengthwise.bench import padded_plan as batch_plan
    from lengthwise.padded import Constants

    learn = [Path(folder) for folder in (args.learn or "").split(",") if folder]
    constants = Constants.parse(args.constants)
    given = batch_plan.Plan(plan, args.instances, args.memory, constants, learn, args.slice_time)
    # Loading transformers takes seconds, which bad input need not wait for.
    given.check()
    from lengthwise.bench.padded import batch_compare

    batch_compare(given, args.out)
