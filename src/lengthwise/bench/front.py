"""Replicas behind a router as the bench drives them: warmed up, idle, with another router."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.request import ProxyHandler, build_opener

import msgspec

from lengthwise.bench.client import Known, Routed, send_all
from lengthwise.bench.job import BenchRequest
from lengthwise.errors import UserError

if TYPE_CHECKING:
    from lengthwise.ray.app import Route

_DIRECT = build_opener(ProxyHandler({}))
"""No proxy stands before this machine's own address, whatever the environment says."""

_PATIENCE_S = 120.0
"""For replicas that are to be known, warm or idle."""


def routing(address: str) -> dict[str, Any]:
    """What the router behind an address knows; empty as long as there is none."""
    with _DIRECT.open(f"{address}/v1/routing", timeout=60) as answer:
        found = msgspec.json.decode(answer.read(), type=list[dict[str, Any]])
    return found[0] if found else {}


def free_port(host: str) -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind((host, 0))
        return int(free.getsockname()[1])


class Front:
    """One address with replicas behind it, whose router can be changed.

    Args:
        address: of the HTTP side.
        replicas: how many there are.
        use_router: lets a router choose from now on, by its name.
    """

    def __init__(self, address: str, replicas: int, use_router: Callable[[str], None]) -> None:
        self.address, self.replicas = address, replicas
        self._use_router = use_router
        self._salts = 0

    def known(self) -> Known:
        """The router's own figures, and its view of the replicas."""
        return msgspec.convert(routing(self.address), Known)

    def send(
        self,
        requests: Sequence[BenchRequest],
        cap: int,
        finished: Callable[[], object] = lambda: None,
    ) -> list[Routed]:
        """Serve requests; prefixes that others left in a cache are of no use to them."""
        self._salts += 1
        return send_all(self.address, requests, cap, f"bench-{self._salts}", finished)

    def warm_up(self, requests: Sequence[BenchRequest]) -> None:
        """Until each replica has served some of the requests, shortened; they come in turn.

        Raises:
            UserError: if one does not.
        """
        some = [replace(each, arrival=0.0) for each in requests[: 2 * self.replicas]]
        # Ray Serve makes a router with the first request; it hears of the replicas later.
        self.send(some[:1], 1)
        self._until(lambda: len(self.known().in_flight) == self.replicas, "known")
        self.use("round-robin")
        served: set[str] = set()

        def all_served() -> bool:
            served.update(
                timing.replica for timing in self.send(some, 8) if timing.finish is not None
            )
            return len(served) == self.replicas

        self._until(all_served, "warm")

    def use(self, router: str) -> None:
        """Once all replicas are idle, another router chooses, which knows nothing yet.

        Raises:
            UserError: if they do not become idle.
        """
        self._until(lambda: not any(self.known().in_flight.values()), "idle")
        self._use_router(router)

    def _until(self, done: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _PATIENCE_S
        while not done():
            if time.monotonic() > end:
                raise UserError(
                    f"the {self.replicas} replicas were not {what} within {_PATIENCE_S:.0f} s: "
                    "is the machine busy, or one of them dead?"
                )
            time.sleep(0.1)


@contextmanager
def on_ray(route: Route) -> Iterator[Front]:
    """The app of ``lengthwise route`` on a free port, as long as the block lasts."""
    from lengthwise.ray.app import serving, use_router

    with serving(replace(route, port=free_port(route.host))) as address:
        yield Front(address, route.replicas, use_router)
