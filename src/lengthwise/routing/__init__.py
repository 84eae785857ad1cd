"""The routers, by name. Adding one is a file here, a line below and a test."""

from __future__ import annotations

from lengthwise.errors import UserError
from lengthwise.routing.fleet import Fleet, Sent
from lengthwise.routing.instance import Capacity, Flight, Instance, Report
from lengthwise.routing.least_in_flight import LeastInFlight
from lengthwise.routing.least_work import LeastWork
from lengthwise.routing.max_min import MaxMin
from lengthwise.routing.predicted import Predicted
from lengthwise.routing.prefixes import Prefix, prefix_of
from lengthwise.routing.round_robin import RoundRobin
from lengthwise.routing.router import Router
from lengthwise.routing.two_choices import TwoChoices

ROUTERS: dict[str, type[Router]] = {
    router.name: router
    for router in (RoundRobin, TwoChoices, LeastInFlight, LeastWork, Predicted, MaxMin)
}

__all__ = [
    "ROUTERS",
    "Capacity",
    "Fleet",
    "Flight",
    "Instance",
    "Prefix",
    "Report",
    "Router",
    "Sent",
    "make_router",
    "prefix_of",
]


def make_router(name: str) -> Router:
    """A router by name.

    Raises:
        UserError: for an unknown one.
    """
    if name not in ROUTERS:
        raise UserError(f"unknown router {name!r}: choose from {', '.join(sorted(ROUTERS))}")
    return ROUTERS[name]()
