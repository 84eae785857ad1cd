"""Who is told of an engine's decisions: the decision log, vLLM's own log, and the tracing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, Protocol

import msgspec

from lengthwise.live.decision import Decision
from lengthwise.live.journal import Journal
from lengthwise.live.log import DecisionLog, rank_file, shown
from lengthwise.live.words import words
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.spans import Headers, RequestSpans

logger = logging.getLogger("vllm.lengthwise")

decisions = logging.getLogger("vllm.lengthwise.decisions")
"""At level DEBUG it gets a line a decision, and the fields as the extra ``lengthwise``."""


class Listener(Protocol):
    """What a journal tells of each decision."""

    def add(self, decision: Decision) -> None:
        """A decision was made."""

    def close(self) -> None:
        """There are no more."""


class Told:
    """The listeners of one journal; what one of them raises is logged once, and ends only it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._listeners: list[Listener] = []

    def add(self, make: Callable[[], Listener | None]) -> None:
        """Let a listener be made, and listen to the journal; None is not wanted."""
        try:
            listener = make()
        except Exception as error:
            logger.warning("%s: the engine serves without it", error)
            return
        if listener is None:
            return
        self._listeners.append(listener)
        self._journal.listeners.append(_Guarded(listener))

    def close(self) -> None:
        """Let all of them write or send what they still have, once."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            try:
                listener.close()
            except Exception as error:
                logger.warning("%s ended badly: %s", type(listener).__name__, error)


class _Guarded:
    """Calls a listener until it fails."""

    def __init__(self, listener: Listener) -> None:
        self._add: Callable[[Decision], None] = listener.add
        self._name = type(listener).__name__

    def __call__(self, decision: Decision) -> None:
        try:
            self._add(decision)
        except Exception:
            self._add = _nothing
            logger.exception("%s failed: it gets no more decisions, all else goes on", self._name)


def _nothing(decision: Decision) -> None:
    """What is told after a failure."""


class VllmLog:
    """Decisions as lines of vLLM's own log, structured where that is JSON."""

    def add(self, decision: Decision) -> None:
        """A line, if anybody wants lines of that level."""
        if decisions.isEnabledFor(logging.DEBUG):
            told = shown(decision)
            fields = msgspec.to_builtins(told)
            decisions.debug("%s", _plain(words(told)), extra={"lengthwise": fields})

    def close(self) -> None:
        """Nothing is kept."""


def _plain(line: str) -> str:
    """Without the arrow of the live page: where a log goes, there may be ASCII only."""
    return line.replace("\N{RIGHTWARDS ARROW}", "->")


def listen(journal: Journal, settings: Settings, config: Any, headers: Headers) -> Told:
    """Let all that the settings want listen to an engine's decisions; nothing is raised.

    Args:
        config: the engine's VllmConfig.
        headers: the trace headers of a request of the engine by its id, or None.
    """
    told = Told(journal)
    told.add(VllmLog)
    told.add(partial(_log, settings, config))
    told.add(partial(_spans, settings, config, headers))
    return told


def close_first() -> None:
    """Let an engine close what it told before it ends its workers.

    vLLM's API server kills an engine that waits for its workers, before its scheduler is shut
    down: what still waits to be written or sent would be lost at every end of a server.
    """
    from vllm.v1.engine.core import EngineCore

    original = EngineCore.shutdown
    if getattr(original, "lengthwise", False):
        return

    @wraps(original)
    def shutdown(self: Any, *args: Any, **kwargs: Any) -> Any:
        told = getattr(getattr(self, "scheduler", None), "told", None)
        if isinstance(told, Told):
            told.close()
        return original(self, *args, **kwargs)

    shutdown.lengthwise = True  # type: ignore[attr-defined]
    EngineCore.shutdown = shutdown


def _log(settings: Settings, config: Any) -> DecisionLog | None:
    if settings.log is None:
        return None
    file = rank_file(settings.log, config.parallel_config.data_parallel_index)
    made = DecisionLog(file, settings.log_mib)
    logger.info("decisions are written to %s", file)
    return made


def _spans(settings: Settings, config: Any, headers: Headers) -> RequestSpans | None:
    endpoint = config.observability_config.otlp_traces_endpoint
    if endpoint is None or settings.spans == 0:
        return None
    return RequestSpans(endpoint, settings.spans, headers)
