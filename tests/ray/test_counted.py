"""Tokens counted as bytes pass."""

from __future__ import annotations

import pytest

from lengthwise.ray.counted import Counted


def test_events_of_a_stream_are_tokens() -> None:
    counted = Counted()
    for _ in range(3):
        counted.take(b'data: {"choices": []}\n\n')
    counted.take(b"data: [DONE]\n\n")
    counted.end()
    assert (counted.tokens, counted.prompt) == (3, 0)


@pytest.mark.parametrize("names", [("prompt", "completion"), ("input", "output")])
def test_a_usage_says_it_better(names: tuple[str, str]) -> None:
    counted = Counted()
    usage = f'{{"usage":{{"{names[0]}_tokens":31,"total_tokens":9,"{names[1]}_tokens": 22}}}}'
    counted.take(b'{"text": "' + b"x" * 9000)
    counted.take(usage.encode()[:30])
    counted.take(usage.encode()[30:])
    counted.end()
    assert (counted.tokens, counted.prompt) == (22, 31)
