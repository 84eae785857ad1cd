"""Beginnings of prompts that instances have cached."""

from __future__ import annotations

import math

import pytest

from lengthwise.routing import Capacity, Flight, Instance, prefix_of
from lengthwise.routing.predicted import added
from lengthwise.routing.prefixes import NOTHING, Prefixes


def test_equal_beginnings_have_equal_blocks() -> None:
    one, two = prefix_of(list(range(100))), prefix_of([*range(70), *range(900, 930)])
    assert len(one.blocks) == 3
    assert one.blocks[:2] == two.blocks[:2]
    assert one.blocks[2] != two.blocks[2]
    assert one.share == pytest.approx(0.32)


def test_salts_keep_prompts_apart_and_short_ones_have_no_block() -> None:
    assert prefix_of(b"x" * 512, "a").blocks[0] != prefix_of(b"x" * 512, "b").blocks[0]
    assert prefix_of(b"short") is NOTHING
    assert prefix_of([]) is NOTHING


def test_the_share_that_was_seen() -> None:
    seen = Prefixes(math.inf)
    prompt = list(range(100))
    assert seen.share(prefix_of(prompt)) == 0.0
    seen.add(prefix_of(prompt))
    assert seen.share(prefix_of(prompt)) == pytest.approx(0.96)
    assert seen.share(prefix_of([*prompt, *prompt])) == pytest.approx(0.48)
    assert seen.share(prefix_of([5, *prompt])) == 0.0


def test_the_ends_of_the_oldest_prompts_are_forgotten_first() -> None:
    seen = Prefixes(0.0)
    old, new = list(range(64 * 32)), list(range(9000, 9000 + 32 * 32))
    seen.add(prefix_of(old))
    assert seen.share(prefix_of(old)) == 1.0
    seen.add(prefix_of(new))
    assert seen.share(prefix_of(new)) == 1.0
    assert seen.share(prefix_of(old)) == pytest.approx(0.5)


def test_a_cached_prompt_adds_less_time() -> None:
    capacity = Capacity(4, prefill_s=0.1)
    warm, cold = (Instance(key, capacity, lambda predicted, age: 10.0) for key in "wc")
    prompt = list(range(320))
    warm.dispatch(Flight("before", 320, None, prefix=prefix_of(prompt)))
    warm.end("before", 0.0)
    flight = Flight("now", 320, None, expected=10.0, prefix=prefix_of(prompt))
    assert warm.uncached(flight) == 0.0
    assert cold.uncached(flight) == 320.0
    assert added(flight, warm, 0.0) < added(flight, cold, 0.0) - 30.0
