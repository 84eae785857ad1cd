"""The HTTP side: listens on the route's port, and passes everything on to replicas."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

from ray.serve.handle import DeploymentHandle

from lengthwise.ray import registry
from lengthwise.ray.auth import Keys
from lengthwise.ray.front import Front
from lengthwise.ray.listening import Listening

_KEEP_ALIVE_S = 75


class Ingress:
    """One process that clients connect to. Several share the port, each with its own connections.

    Args:
        replicas: the handle of the replicas' deployment.
        listening: where.
    """

    def __init__(self, replicas: DeploymentHandle, listening: Listening) -> None:
        import uvicorn

        # Ray Serve makes a handle's router, which feeds our balancer, when options are asked for.
        self._replicas = replicas.options(method_name="pid")
        self._front = Front(registry.balancer, Keys(listening.keys))
        config = uvicorn.Config(
            self._front,
            log_level="warning",
            access_log=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            **listening.tls,  # type: ignore[arg-type]
        )
        self._server = uvicorn.Server(config)
        self._socket = _shared(listening.host, listening.port)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        import uvloop

        uvloop.run(self._server.serve(sockets=[self._socket]))

    def use_router(self, name: str) -> None:
        """Let another router choose from now on; called through the app's handle, not over HTTP."""
        found = registry.balancer()
        if found is not None:
            found.use(name)

    def check_health(self) -> None:
        """Raises if it does not listen any more, so that Ray Serve starts another."""
        if not self._thread.is_alive():
            raise RuntimeError("the HTTP server ended")

    async def __del__(self) -> None:
        """Called by Ray Serve when it is to go: it stops listening and serves what it has."""
        self._server.should_exit = True
        await asyncio.to_thread(self._thread.join)


def _shared(host: str, port: int) -> socket.socket:
    """A socket on a port that other ingresses listen on, too: connections go to all of them."""
    info: Any = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=1)[0]
    made = socket.socket(info[0], info[1])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(info[4])
    made.listen(2048)
    return made
