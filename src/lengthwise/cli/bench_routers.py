"""Options of ``lengthwise bench --routers``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lengthwise.cli.padded_options import REAL, refuse_others
from lengthwise.errors import UserError

if TYPE_CHECKING:
    from lengthwise.bench.plan import Plan


def add_routers(it: argparse.ArgumentParser) -> None:
    """The routers, and what only they take."""
    it.add_argument(
        "--routers", help="compare these over several replicas on Ray Serve, comma separated"
    )
    it.add_argument("--replicas", type=int, help="routers: how many engines (default 2)")
    it.add_argument("--repeat", type=int, help="routers: how often, at other times (default 1)")
    it.add_argument("--report", type=float, help="routers: seconds between load reports (1)")


def routed(args: argparse.Namespace) -> bool:
    """Whether routers are to be compared.

    Raises:
        UserError: for options that go with routers only, or never with them.
    """
    if args.routers is not None:
        if args.engine == REAL:
            raise UserError("--routers stand before vLLM: leave out --engine generate")
        return True
    for name in ("replicas", "repeat", "report"):
        if getattr(args, name) is not None:
            raise UserError(f"--{name} goes with --routers, like round-robin,predicted")
    return False


def compare_routers(plan: Plan, args: argparse.Namespace) -> None:
    """Run the plan over several replicas.

    Raises:
        UserError: for bad options.
    """
    from lengthwise.bench import routers as route_compare

    refuse_others(plan.policies, f"--engine {REAL}, without --routers")
    given = {
        name: value
        for name, value in (
            ("replicas", args.replicas),
            ("repeat", args.repeat),
            ("report_s", args.report),
        )
        if value is not None
    }
    route_compare.compare_routers(
        route_compare.Plan(plan, args.routers.split(","), **given), args.out
    )
