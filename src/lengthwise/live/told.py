"""The state of engines as the live page gets it: with each decision in words."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from lengthwise.live.state import EngineNow
from lengthwise.live.words import words


class EngineTold(EngineNow, frozen=True, kw_only=True):
    """An engine's state for people.

    Attributes:
        words: one line for each of ``decisions``, in their order.
    """

    words: list[str]


def told(engine: EngineNow, rows: int, decisions: int) -> EngineTold:
    """The state with no more than ``rows`` requests and ``decisions`` decisions, the last."""
    last = engine.decisions[-decisions:] if decisions else []
    kept = {**msgspec.structs.asdict(engine), "requests": engine.requests[:rows]}
    kept["decisions"] = last
    return EngineTold(**kept, words=[words(each) for each in last])


def as_json(engines: Iterable[EngineNow], rows: int, decisions: int) -> bytes:
    """A JSON list of the engines, each as :class:`EngineTold`."""
    return msgspec.json.encode([told(engine, rows, decisions) for engine in engines])
