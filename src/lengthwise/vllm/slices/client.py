"""Hangs the stitcher into vLLM's engine client, under LLMEngine, AsyncLLM and the server.

Hints of clients join their requests, and are made fit to travel, on the same way.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

from lengthwise.errors import UserError
from lengthwise.vllm.arrivals import check_policy
from lengthwise.vllm.flags import Flags
from lengthwise.vllm.hints import fit_to_travel
from lengthwise.vllm.limits import SPECULATING, STAGES
from lengthwise.vllm.ours import is_ours
from lengthwise.vllm.settings import KEY, Settings
from lengthwise.vllm.slices.stitch import Stitcher
from lengthwise.vllm.surface import CLIENT, check_running
from lengthwise.vllm.trust import bring

_FACTORIES = ("make_client", "make_async_mp_client")
_UNCACHED = "--no-enable-prefix-caching"
_OWN_SCHEDULER = "--scheduler-cls"
_RUST = "VLLM_USE_RUST_FRONTEND"
"""Environment variable: vLLM's front end in Rust, which has no client to hang slices into."""

_TRANSFER = ("--kv-transfer-config", "--kv-offloading-size")


def install(made: Callable[[Any], None]) -> None:
    """Wrap what builds vLLM's engine clients; without our settings they are untouched.

    So are those of a vLLM that builds them in another way: there the scheduler refuses slices.

    Args:
        made: is given each client that was made.
    """
    from vllm.v1.engine import core_client

    kind = getattr(core_client, "EngineCoreClient", None)
    for name in _FACTORIES:
        original = getattr(kind, name, None)
        if original is not None and not hasattr(original, "lengthwise"):
            setattr(kind, name, staticmethod(_wrapped(original, made)))


def _wrapped(factory: Any, made: Callable[[Any], None]) -> Any:
    @functools.wraps(factory)
    def make(*args: Any, **kwargs: Any) -> Any:
        for given in (*args, *kwargs.values()):
            if KEY in (getattr(given, "additional_config", None) or {}):
                # Here, because what the scheduler refuses comes after the model has loaded.
                settings = Settings.read(given.additional_config)
                check_policy(settings)
                settings.check_trust()
                if settings.slice is not None:
                    check_running([CLIENT])
                    check(given)
        client = factory(*args, **kwargs)
        attach(client)
        made(client)
        return client

    make.lengthwise = True  # type: ignore[attr-defined]
    return make


def attach(client: Any) -> None:
    """Check hints on their way, and serve in slices if the settings ask for it."""
    from vllm.v1.engine.core_client import AsyncMPClient

    config = getattr(client, "vllm_config", None) or client.engine_core.vllm_config
    if hasattr(client, "lengthwise") or not _concerns(config):
        return
    settings = Settings.read(config.additional_config)
    asynchronous = isinstance(client, AsyncMPClient)
    client.lengthwise = None
    if settings.slice is not None:
        _cut(client, settings, config, asynchronous)
    name = "add_request_async" if asynchronous else "add_request"
    add, trust, routed = getattr(client, name), settings.trust, settings.routed
    setattr(client, name, lambda request: add(fit_to_travel(bring(request, trust, routed))))


def _concerns(config: Any) -> bool:
    """Whether there are settings of ours, or our scheduler without any."""
    scheduler = getattr(config.scheduler_config, "scheduler_cls", None)
    return KEY in (config.additional_config or {}) or is_ours(scheduler)


def _cut(client: Any, settings: Settings, config: Any, asynchronous: bool) -> None:
    assert settings.slice is not None
    block = config.cache_config.block_size if settings.align else 1
    stitcher = Stitcher(
        settings.slice,
        block,
        lambda: int(config.model_config.max_model_len),
        watermarks=config.watermark_config is not None,
    )
    client.lengthwise = (AsyncFront if asynchronous else Front)(client, stitcher)


def check(config: Any) -> None:
    """Refuse an engine whose features slices were not made for.

    Raises:
        UserError: one line that names what to leave out.
    """
    scheduler = str(config.scheduler_config.scheduler_cls)
    _refuse(
        (_UNCACHED, not config.cache_config.enable_prefix_caching),
        (SPECULATING[0], config.speculative_config is not None),
        (_TRANSFER[0], config.kv_transfer_config is not None),
        (STAGES[0], config.parallel_config.pipeline_parallel_size > 1),
        (_OWN_SCHEDULER, "lengthwise" not in scheduler or "Stock" in scheduler),
    )


def refuse(flags: Flags) -> None:
    """Refuse the flags of ``vllm serve`` that slices do not go with; others pass.

    Raises:
        UserError: names the first of them.
    """
    _refuse(
        (_UNCACHED, flags.sets(_UNCACHED)),
        (SPECULATING[0], flags.sets(*SPECULATING)),
        (_TRANSFER[0], flags.sets(*_TRANSFER)),
        (STAGES[0], flags.number(1, *STAGES) > 1),
        (_OWN_SCHEDULER, flags.sets(_OWN_SCHEDULER)),
        (_RUST, os.environ.get(_RUST, "0") not in ("", "0")),
    )


def _refuse(*found: tuple[str, bool]) -> None:
    for flag, is_set in found:
        if is_set:
            raise UserError(f"{flag} and slices do not go together: leave one of them out")


class Front:
    """Replaces three methods of a synchronous client: add, get and abort."""

    def __init__(self, client: Any, stitcher: Stitcher) -> None:
        self.stitcher = stitcher
        self._add, self._get = client.add_request, client.get_output
        self._abort = client.abort_requests
        client.add_request, client.get_output = self.add_request, self.get_output
        client.abort_requests = self.abort_requests

    def add_request(self, request: Any) -> None:
        """The request's first slice goes to the engine core."""
        self._add(self.stitcher.first(request))

    def get_output(self) -> Any:
        """The engine core's outputs as those of whole requests; next slices follow at once."""
        outputs = self._get()
        for request_id in self.stitcher.take(outputs.outputs):
            self._add(self.stitcher.following(request_id))
        return outputs

    def abort_requests(self, request_ids: list[str]) -> None:
        """A slice has its request's id, so the abort reaches whichever is under way."""
        self.stitcher.forget(request_ids)
        self._abort(request_ids)


class AsyncFront:
    """The same for an asynchronous client."""

    def __init__(self, client: Any, stitcher: Stitcher) -> None:
        self.stitcher = stitcher
        self._add, self._get = client.add_request_async, client.get_output_async
        self._abort = client.abort_requests_async
        client.add_request_async, client.get_output_async = self.add_request, self.get_output
        client.abort_requests_async = self.abort_requests

    async def add_request(self, request: Any) -> None:
        """The request's first slice goes to the engine core."""
        await self._add(self.stitcher.first(request))

    async def get_output(self) -> Any:
        """The engine core's outputs as those of whole requests; next slices follow at once."""
        outputs = await self._get()
        for request_id in self.stitcher.take(outputs.outputs):
            # While another was sent, a client may have left.
            piece = self.stitcher.following(request_id)
            if piece is not None:
                await self._add(piece)
        return outputs

    async def abort_requests(self, request_ids: list[str]) -> None:
        """A slice has its request's id, so the abort reaches whichever is under way."""
        self.stitcher.forget(request_ids)
        await self._abort(request_ids)
