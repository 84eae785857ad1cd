"""What replicas are told when a route starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("vllm", reason="needs vLLM: make test installs it")

from lengthwise.ray.app import Route, replica_flags
from lengthwise.vllm.settings import Settings


def test_replicas_know_that_a_router_speaks_to_them(model_of: Callable[..., Path]) -> None:
    """Else they would not believe its predictions; a server of its own believes no list."""
    model = model_of({"a": 0})
    flags = replica_flags(Route(model, Settings(learn=False), seats=3))
    given = json.loads(flags[flags.index("--additional-config") + 1])
    assert given["lengthwise"]["routed"]
    assert flags[flags.index("--max-num-seqs") + 1] == "3"
    assert not Settings().routed
