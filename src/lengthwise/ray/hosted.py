"""vLLM's own server, with its engine client, on a thread of this process."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from typing import Any

from lengthwise.ray.door import Door
from lengthwise.vllm.asking import Asking

_KEEP_ALIVE_S = 120
"""Longer than the route keeps a connection that nothing passes through."""


class Hosted:
    """Every route that ``vllm serve`` has, on a free port.

    Args:
        flags: of ``vllm serve``, the model first.
        host: to listen on.

    Attributes:
        address: ``http://host:port``.
        asking: asks the engine for its state.
        door: counts its requests.

    Raises:
        RuntimeError: if it does not start.
    """

    address: str
    asking: Asking
    door: Door

    def __init__(self, flags: list[str], host: str) -> None:
        self._flags, self._host = flags, host
        self._ready = threading.Event()
        self._error = ""
        self._engine: Any = None
        self._server: Any = None
        self.loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._run, name="vllm", daemon=True)
        self._thread.start()
        self._ready.wait()
        self.check()

    def check(self) -> None:
        """Raises RuntimeError if the engine or its server has ended."""
        if self._error or self.dead():
            raise RuntimeError(self._error or "the engine died")

    def dead(self) -> bool:
        """Whether the engine has died."""
        return self._engine is not None and bool(self._engine.errored)

    def stop(self) -> None:
        """Answer what is under way, then end server and engine."""
        self._server.should_exit = True
        self._thread.join()

    def _run(self) -> None:
        import uvloop

        try:
            uvloop.run(self._serve())
            self._error = "vLLM's server ended"
        except BaseException as error:
            # vLLM ends its process by SystemExit for flags that it refuses.
            self._error = f"vLLM's server ended: {error}".splitlines()[0]
        self._ready.set()

    async def _serve(self) -> None:
        import uvicorn
        from vllm.entrypoints.launchers.api_server.app_state import init_app_state
        from vllm.entrypoints.launchers.api_server.entry import build_async_engine_client
        from vllm.entrypoints.launchers.app import build_app

        self.loop = asyncio.get_running_loop()
        args = arguments(self._flags)
        async with build_async_engine_client(args) as engine:
            tasks = await engine.get_supported_tasks()
            app = build_app(args, tasks, engine.model_config)
            await init_app_state(engine, app.state, args, tasks)
            self._engine, self.door = engine, Door(app, self.dead)
            self.asking = Asking(engine.engine_core)
            listening = socket.create_server((self._host, 0), backlog=2048)
            self.address = f"http://{self._host}:{listening.getsockname()[1]}"
            config = uvicorn.Config(
                self.door,
                log_level=args.uvicorn_log_level,
                access_log=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                h11_max_incomplete_event_size=args.h11_max_incomplete_event_size,
            )
            self._server = app.state.server = uvicorn.Server(config)
            self._ready.set()
            await self._server.serve(sockets=[listening])


def arguments(flags: list[str]) -> Any:
    """The flags as vLLM's server reads them."""
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    try:
        from vllm.entrypoints.launchers import cli_args
    except ImportError:
        # Where it is from 0.33 on.
        from vllm.entrypoints.common import cli_args

    # As vLLM's own program does: a fork takes its parent's threads along, and they are not whole.
    os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")
    parser = cli_args.make_arg_parser(FlexibleArgumentParser())
    args = parser.parse_args(flags)
    args.model = args.model_tag or args.model
    cli_args.validate_parsed_serve_args(args)
    return args
