"""One replica: vLLM's own server with lengthwise's scheduler, in an actor of Ray Serve."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from lengthwise.live.state import EngineNow
from lengthwise.ray.hosted import Hosted
from lengthwise.ray.status import Status
from lengthwise.vllm.asking import NoAnswerError
from lengthwise.vllm.flags import Flags, additional_config
from lengthwise.vllm.settings import KEY

_ROWS = 512
"""Most requests of an engine that a report tells of one by one."""

_QUIET_S = 1.0
"""Seconds without a request after which a replica that is to go is let go: routers know by then."""


class Replica:
    """Serves HTTP on a port of its own, and tells routers its load.

    Args:
        flags: of ``vllm serve``, the model first.
        host: to listen on; empty: the address of this node.
        cores: processor cores that replicas take turns to be bound to; none binds none.
        drain_s: seconds for requests under way when it is to go.
    """

    def __init__(self, flags: list[str], host: str, cores: list[int], drain_s: float) -> None:
        import ray

        if cores:
            os.environ["VLLM_CPU_OMP_THREADS_BIND"] = str(cores[_rank() % len(cores)])
        self._drain_s = drain_s
        self._hosted = Hosted(with_own_log(flags, _rank()), host or ray.util.get_node_ip_address())
        self._before: list[EngineNow] = []

    async def record_routing_stats(self) -> dict[str, Any]:
        """The load, as a :class:`Status` in plain form: Ray Serve asks for it every so often."""
        self.check_health()
        states = await self._states()
        found = status(self._hosted.address, self._hosted.door.generating, states, self._before)
        self._before = states
        return found

    async def _states(self) -> list[EngineNow]:
        asked = self._hosted.asking.states(rows=_ROWS)
        try:
            answer = asyncio.run_coroutine_threadsafe(asked, self._hosted.loop)
            return await asyncio.wrap_future(answer)
        except NoAnswerError:
            return []

    def pid(self) -> int:
        """The process, for tests that kill it."""
        return os.getpid()

    def check_health(self) -> None:
        """Raises if the engine or its server has ended, so that Ray Serve starts another."""
        self._hosted.check()

    async def __del__(self) -> None:
        """Called by Ray Serve once routers are told that it goes: serves what it has, then ends."""
        end = time.monotonic() + self._drain_s
        quiet = time.monotonic()
        while time.monotonic() < end and time.monotonic() - quiet < _QUIET_S:
            await asyncio.sleep(0.05)
            if self._hosted.door.active:
                quiet = time.monotonic()
        await asyncio.to_thread(self._hosted.stop)


def status(
    address: str, active: set[str], states: list[EngineNow], before: list[EngineNow]
) -> dict[str, Any]:
    """A replica's load from the states of its engines, now and when it was asked last."""
    rows = [row for engine in states for row in engine.requests if row.routed in active]
    held = dict.fromkeys(active, 0)
    left: dict[str, float] = {}
    for row in rows:
        # Several samples of one request last as long as the longest of them.
        held[row.routed] = max(held[row.routed], row.tokens)
        if row.left is not None:
            left[row.routed] = max(left.get(row.routed, 0.0), row.left)
    found = Status(
        at=time.time(),
        address=address,
        held=held,
        left=left,
        pace=pace(states, before),
        seats=sum(engine.seats for engine in states),
        memory=sum(engine.kv_tokens for engine in states),
    )
    return {name: getattr(found, name) for name in found.__struct_fields__}


def pace(states: list[EngineNow], before: list[EngineNow]) -> float | None:
    """Seconds a step of the engines that were busy at both times; None if none was."""
    known = {engine.engine: engine for engine in before}
    found = []
    for engine in states:
        last = known.get(engine.engine)
        if last is None or not (engine.running and last.running):
            continue
        steps = engine.totals.steps - last.totals.steps
        if steps > 0:
            found.append((engine.at - last.at) / steps)
    return sum(found) / len(found) if found else None


def with_own_log(flags: list[str], rank: int) -> list[str]:
    """The flags, but a replica after the first writes its decisions into a file of its own."""
    given = additional_config(Flags(flags))
    log = given.get(KEY, {}).get("log")
    if log is None or rank == 0:
        return flags
    path = Path(log)
    given[KEY]["log"] = str(path.with_name(f"{path.stem}.replica{rank}{path.suffix}"))
    rest = Flags(flags).without("--additional-config")
    return [*rest, "--additional-config", json.dumps(given)]


def _rank() -> int:
    from ray import serve

    return int(serve.get_replica_context().rank.rank)
