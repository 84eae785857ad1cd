"""The API server's ``/metrics`` has lengthwise's too: its engines are asked once a second.

Nothing of it reaches serving: an engine that does not answer shows as ``lengthwise_up`` 0, and
whatever else fails is logged once.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from typing import Any

from lengthwise.metrics.exporter import Exporter
from lengthwise.vllm.asking import Asking, NoAnswerError

logger = logging.getLogger("vllm.lengthwise")

EVERY_S = 1.0
"""Seconds between two questions; Prometheus reads every 15 to 60."""

_SILENT = "lengthwise's metrics stay as they are until the engine answers: %s"

_TASKS: set[asyncio.Task[None]] = set()
"""Those that run: an event loop alone would not keep them."""


def feed(client: Any) -> None:
    """Ask a client's engines from now on, as long as client and event loop live.

    Where no event loop runs yet, it begins with the client's first request.

    Args:
        client: vLLM's asynchronous client of its engine cores. Of several API servers, which
            share their metrics, only the first one's asks.
    """
    if getattr(client, "client_index", 0) != 0 or hasattr(client, "lengthwise_fed"):
        return
    client.lengthwise_fed = True
    feeder = Feeder(client)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        _with_the_first_request(client, feeder)
    else:
        feeder.start()


def _with_the_first_request(client: Any, feeder: Feeder) -> None:
    add = client.add_request_async

    async def begin(request: Any) -> None:
        client.add_request_async = add
        feeder.start()
        await add(request)

    client.add_request_async = begin


class Feeder:
    """Asks the engines of one client again and again, and sets the metrics."""

    def __init__(self, client: Any) -> None:
        # A client that nobody else holds ends its engines.
        self._client = weakref.ref(client)
        self._asking = Asking(weakref.proxy(client))
        config = client.vllm_config.model_config
        self._model = str(config.served_model_name or config.model)
        self._engines = list(getattr(client, "engine_ranks_managed", [0]))
        self._exporter: Exporter | None = None
        self._told = False

    def start(self) -> None:
        """Begin, in the event loop that runs."""
        task = asyncio.get_running_loop().create_task(self.run(), name="lengthwise metrics")
        _TASKS.add(task)
        task.add_done_callback(_TASKS.discard)

    async def run(self) -> None:
        """Ask until the client is gone or its engines are dead."""
        while await self._goes_on():
            await asyncio.sleep(EVERY_S)

    async def _goes_on(self) -> bool:
        """Ask once; whether there is anybody left to ask."""
        client = self._client()
        lives = client is not None and not client.resources.engine_dead
        del client
        try:
            await self._show(lives)
        except Exception as error:
            self._tell("lengthwise's metrics cannot be set: %s", error)
        return lives

    async def _show(self, lives: bool) -> None:
        if self._exporter is None:
            self._exporter = Exporter(self._model, self._engines)
        if not lives:
            self._exporter.silent()
            return
        try:
            missing = self._exporter.show(await self._asking.states())
        except NoAnswerError as error:
            self._exporter.silent()
            self._tell(_SILENT, error)
        else:
            if missing:
                self._tell(_SILENT, f"engines {', '.join(map(str, sorted(missing)))}")

    def _tell(self, line: str, why: Exception | str) -> None:
        if not self._told:
            self._told = True
            logger.warning(line, str(why) or type(why).__name__)
