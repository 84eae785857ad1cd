"""The balancers of this process: Ray Serve's routers feed them, the ingress asks them.

In a module of its own, because Ray Serve sends a router's class by value, with copies of its
module's globals, and everything else by name.
"""

from __future__ import annotations

from lengthwise.ray.balancer import Balancer

BALANCERS: list[Balancer] = []


def balancer() -> Balancer | None:
    """The one of this process; None before Ray Serve has made its router."""
    return BALANCERS[-1] if BALANCERS else None
