"""Requests outlive replicas until they begin to stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lengthwise.ray.retry import BrokenError, Chunk, answered


class GoneError(Exception):
    pass


class Replicas:
    """Each call's script: chunks, then perhaps a death."""

    def __init__(self, *scripts: list[str]) -> None:
        self.scripts = list(scripts)
        self.asked: list[dict[str, Any]] = []

    async def generate(self, request: dict[str, Any]) -> AsyncIterator[Chunk]:
        self.asked.append(dict(request))
        request.setdefault("predicted", 10.0 * len(self.asked))
        for word in self.scripts.pop(0):
            if word == "dies":
                raise GoneError
            yield {"text": word}


def collect(replicas: Replicas) -> list[str]:
    async def run() -> list[str]:
        chunks = answered(replicas.generate, {"id": "x"}, (GoneError,))
        return [chunk["text"] async for chunk in chunks]

    return asyncio.run(run())


def test_what_had_not_begun_is_sent_again_with_its_prediction() -> None:
    replicas = Replicas(["dies"], ["dies"], ["a", "b"])
    assert collect(replicas) == ["a", "b"]
    assert replicas.asked == [{"id": "x"}, *[{"id": "x", "predicted": 10.0}] * 2]


def test_what_had_begun_is_not_sent_again() -> None:
    replicas = Replicas(["a", "dies"], ["b"])
    with pytest.raises(BrokenError, match="in the middle"):
        collect(replicas)
    assert len(replicas.asked) == 1


def test_it_gives_up_in_the_end() -> None:
    replicas = Replicas(*[["dies"]] * 9)
    with pytest.raises(BrokenError, match="5 replicas died"):
        collect(replicas)


def test_other_errors_are_not_tried_again() -> None:
    class Refusing(Replicas):
        async def generate(self, request: dict[str, Any]) -> AsyncIterator[Chunk]:
            self.asked.append(request)
            raise ValueError("too long")
            yield {}

    replicas = Refusing()
    with pytest.raises(ValueError, match="too long"):
        collect(replicas)
    assert len(replicas.asked) == 1
