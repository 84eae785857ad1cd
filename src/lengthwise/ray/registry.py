"""The routers of this process: the ingress reports streamed tokens to them.

In a module of its own, because Ray Serve sends a router's class by value, with copies of its
module's globals, and everything else by name.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any, Protocol


class ListeningRouter(Protocol):
    """What the ingress asks and tells the routers of its process, from any thread."""

    def use(self, router: str) -> Future[None]:
        """Choose by another router from now on; best while no request is under way."""

    def describe(self) -> dict[str, Any]:
        """Loads by replica, and predictions made."""

    def streams(self, id: str, generated: int) -> None:
        """So many tokens of the request's answer passed to the client."""

    def finished(self, id: str, tokens: int) -> None:
        """The request has ended after so many tokens; 0 if it failed or its client left."""


ROUTERS: list[ListeningRouter] = []
