"""Every kind of decision in words."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from lengthwise.live.decision import Decision, Kind
from lengthwise.live.words import seconds, tokens, words

CASES: list[tuple[Kind, dict[str, Any], str]] = [
    ("arrived", {"prompt": 812}, "arrived: prompt of 812 tokens, nothing predicted yet"),
    ("arrived", {"prompt": 1, "left": 1.2}, "arrived: prompt of 1 token, 1 token expected"),
    ("admitted", {"waited": 4.2}, "admitted after 4.2 s"),
    (
        "admitted",
        {"waited": 31.0, "overtook": 1, "left": 1310.0},
        "admitted after 31 s before 1 earlier request, 1,310 tokens expected",
    ),
    ("admitted", {"overtook": 1200}, "admitted after 0 s before 1,200 earlier requests"),
    (
        "paused",
        {"winner": 23, "left": 310.4, "winner_left": 22.0, "reason": "seat"},
        "paused for r23: 310 → 22 tokens left, no recompute",
    ),
    ("paused", {"winner": 23, "winner_left": 1.0}, "paused for r23: unknown → 1 token left, "),
    ("paused", {"left": 310.0}, "paused: 310 tokens left, no recompute"),
    ("resumed", {}, "resumed"),
    ("resumed", {"left": 7.0}, "resumed: 7 tokens left"),
    (
        "evicted",
        {"reason": "seat", "winner": 3, "left": 90.0, "winner_left": 4.0, "recompute": 512},
        "evicted for r3: 90 → 4 tokens left, 512 tokens to recompute",
    ),
    ("evicted", {"reason": "memory"}, "evicted for memory: no recompute"),
    ("evicted", {"reason": "memory", "winner": 3}, "evicted to make room for r3: no recompute"),
    (
        "evicted",
        {"reason": "reset", "recompute": 9},
        "evicted: the prefix cache was reset, 9 tokens to recompute",
    ),
    (
        "promoted",
        {"reason": "starved", "waited": 660.0},
        "promoted: it starved, and goes first 11 min after its arrival",
    ),
    (
        "finished",
        {"reason": "stop", "waited": 12.3, "tokens": 95, "predicted": 120.0, "ttft": 0.42},
        "finished after 12 s: 95 tokens, 120 predicted, the first after 0.42 s",
    ),
    (
        "finished",
        {"reason": "length", "tokens": 1},
        "finished after 0 s: 1 token, cut at its limit",
    ),
    ("aborted", {"reason": "abort", "tokens": 14}, "aborted after 0 s: 14 tokens"),
    ("aborted", {"reason": "error"}, "aborted by an error after 0 s: 0 tokens"),
]


@pytest.mark.parametrize(("kind", "facts", "said"), CASES)
def test_a_decision_in_words(kind: Kind, facts: dict[str, Any], said: str) -> None:
    line = words(Decision(1, 1.8e9, kind, 17, "cmpl-1", **facts))
    assert line.startswith(f"r17 {said}")
    assert "\n" not in line


def test_every_kind_has_words() -> None:
    assert {kind for kind, _, _ in CASES} == set(get_args(Kind))


def test_numbers_have_their_units() -> None:
    assert [tokens(each) for each in (0, 1, 1240.4)] == ["0 tokens", "1 token", "1,240 tokens"]
    given = (0.0, 0.04, 9.6, 119.0, 150.0, 3600.0)
    assert [seconds(each) for each in given] == [
        *("0 s", "0.04 s", "9.6 s", "119 s", "2.5 min", "60 min"),
    ]
