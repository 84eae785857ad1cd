"""The routers of this process: the ingress tells them what it sees streaming.

In a module of its own, because Ray Serve sends a router's class by value, with copies of its
module's globals, and everything else by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lengthwise.ray.router import LengthwiseRouter

ROUTERS: list[LengthwiseRouter] = []
