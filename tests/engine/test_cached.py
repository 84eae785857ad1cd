"""A prompt that vLLM's prefix cache has is no work, as long as it has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def found(model: Path, forks: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("cached") / "out.json"
    done = forks("cached.py", model, out)
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(out.read_text())
    return result


def test_a_cached_conversation_is_short(found: dict[str, Any]) -> None:
    assert found["conversation"] == {
        "cached": 800,
        "order": ["first", "busy", "second", "shorter", "other"],
    }


@pytest.mark.parametrize("cache", ["without", "skipped"])
def test_without_the_cache_it_is_as_long_as_it_is(found: dict[str, Any], cache: str) -> None:
    assert found[cache] == {"cached": 0, "order": ["first", "busy", "shorter", "other", "second"]}


def test_an_evicted_prefix_is_noticed_at_the_head(found: dict[str, Any]) -> None:
    told = found["evicted"]
    assert told["before"] == 800
    assert told["after"] < 100
    assert told["order"] == ["first", "large", "shorter", "second"]


def test_vllm_counts_and_keeps_what_it_does_without_us(found: dict[str, Any]) -> None:
    stock = found["counted"]["stock"]
    assert stock["counts"]["hits"] >= 1600, "nothing was found in the cache"
    assert found["counted"]["fcfs"] == stock
    assert found["counted"]["lengthwise"] == stock
