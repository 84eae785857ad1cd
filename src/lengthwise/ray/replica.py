"""One replica: a vLLM engine with lengthwise's scheduler, on a thread of an actor."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any

from lengthwise.core.prediction import LEAST
from lengthwise.ray.openai import SALT, SAMPLING
from lengthwise.workload.clients import TENANT_HINT

_PACE_STEPS = 32


class Replica:
    """Generates what it is asked, in the order of its policy.

    Args:
        model: folder of the model.
        seats: most requests in one step.
        settings: the plug-in's settings, as in ``--additional-config``.
        cores: processor cores that replicas take turns to be bound to; none binds none.
        engine: further arguments of vLLM's engine.
    """

    def __init__(
        self,
        model: str,
        seats: int,
        settings: dict[str, Any],
        cores: list[int],
        engine: dict[str, Any],
    ) -> None:
        if cores:
            os.environ["VLLM_CPU_OMP_THREADS_BIND"] = str(cores[_rank() % len(cores)])
        self._model, self._seats, self._settings = model, seats, settings
        self._engine_arguments = engine
        self._name = _context().replica_id.unique_id
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: deque[tuple[str, dict[str, Any] | None]] = deque()
        self._outputs: dict[str, asyncio.Queue[Any]] = {}
        self._wake, self._ready = threading.Event(), threading.Event()
        self._steps: deque[float] = deque(maxlen=_PACE_STEPS)
        self._held: dict[str, int] = {}
        self._asked: deque[Future[dict[str, Any]]] = deque()
        self._dead = ""
        threading.Thread(target=self._run, name="engine", daemon=True).start()
        self._ready.wait()
        self.check_health()

    async def generate(self, request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """New text, token ids, the finish reason and this replica's name, as they come.

        Args:
            request: ``id``, ``prompt_ids``, ``max_tokens``, and perhaps sampling fields as
                OpenAI names them, a ``cache_salt``, ``predicted`` output tokens as a router
                hands them on, ``priority`` and ``tenant``.
        """
        id = request["id"]
        self._loop = asyncio.get_running_loop()
        outputs = self._outputs[id] = asyncio.Queue()
        finish = None
        try:
            self._put(id, request)
            while finish is None:
                output = await outputs.get()
                if isinstance(output, Exception):
                    raise output
                finish = output["finish"]
                yield {**output, "replica": self._name}
        finally:
            del self._outputs[id]
            if finish is None:
                self._put(id, None)

    async def record_routing_stats(self) -> dict[str, Any]:
        """The load between two steps, for routers: Ray Serve asks for it every so often."""
        asked: Future[dict[str, Any]] = Future()
        self._asked.append(asked)
        self._wake.set()
        # Not earlier: an engine that stops answers only what was asked by then.
        self.check_health()
        return await asyncio.wrap_future(asked)

    def pid(self) -> int:
        """The process, for tests that kill it."""
        return os.getpid()

    def check_health(self) -> None:
        """Raises if the engine's thread has ended."""
        if self._dead:
            raise RuntimeError(self._dead)

    def _put(self, id: str, request: dict[str, Any] | None) -> None:
        self._inbox.append((id, request))
        self._wake.set()

    # On the engine's thread.

    def _run(self) -> None:
        try:
            # Here, because threads of OpenMP belong to the thread that made them.
            from lengthwise.vllm.driver import Driver
            from lengthwise.vllm.settings import Settings

            settings = Settings.read(self._settings)
            self._driver = Driver(self._model, self._seats, settings, **self._engine_arguments)
            self._ready.set()
            self._serve()
        except Exception as error:
            self._dead = f"the engine stopped: {error}".splitlines()[0]
            self._ready.set()
            for id in list(self._outputs):
                self._send(id, RuntimeError(self._dead))
            while self._asked:
                self._asked.popleft().set_exception(RuntimeError(self._dead))

    def _serve(self) -> None:
        while True:
            self._take()
            while self._asked:
                self._asked.popleft().set_result(self._load())
            if not self._driver.busy:
                self._steps.clear()
                self._wake.wait()
                self._wake.clear()
                continue
            start = time.perf_counter()
            outputs = self._driver.step()
            self._steps.append(time.perf_counter() - start)
            self._hand_over(outputs)

    def _take(self) -> None:
        while self._inbox:
            id, request = self._inbox.popleft()
            if request is None:
                self._driver.abort(id)
                self._held.pop(id, None)
                continue
            try:
                ids, priority = request["prompt_ids"], request.get("priority", 0)
                self._driver.add(id, ids, _params(request), priority, request.get(SALT))
                self._held[id] = 0
            except ValueError as error:
                self._send(id, ValueError(str(error).splitlines()[0]))

    def _hand_over(self, outputs: list[Any]) -> None:
        for output in outputs:
            id, new = output.request_id, output.outputs[0]
            self._held[id] = self._held.get(id, 0) + len(new.token_ids)
            if output.finished:
                del self._held[id]
            chunk = {"text": new.text, "ids": list(new.token_ids), "finish": new.finish_reason}
            self._send(id, chunk)

    def _load(self) -> dict[str, Any]:
        """The present load, as a :class:`lengthwise.routing.Report` has it."""
        left = {id: self._driver.remaining(id) for id in self._held}
        return {
            "at": time.time(),
            "held": dict(self._held),
            "left": {id: tokens for id, tokens in left.items() if not math.isnan(tokens)},
            "pace": sum(self._steps) / len(self._steps) if self._steps else math.nan,
        }

    def _send(self, id: str, output: Any) -> None:
        queue = self._outputs.get(id)
        if queue is not None and self._loop is not None:
            self._loop.call_soon_threadsafe(queue.put_nowait, output)


def _params(request: dict[str, Any]) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    from lengthwise.vllm.hints import PREDICTED_HINT

    given = {name: request[name] for name in SAMPLING if request.get(name) is not None}
    predicted = request.get("predicted")
    if isinstance(predicted, float | int):
        # No answer has less than one token, and less is no hint.
        predicted = max(predicted, LEAST)
    hints = {PREDICTED_HINT: predicted, TENANT_HINT: request.get("tenant")}
    return SamplingParams(
        max_tokens=request["max_tokens"],
        output_kind=RequestOutputKind.DELTA,
        extra_args={name: hint for name, hint in hints.items() if hint is not None} or None,
        **given,
    )


def _context() -> Any:
    from ray import serve

    return serve.get_replica_context()


def _rank() -> int:
    return int(_context().rank.rank)
