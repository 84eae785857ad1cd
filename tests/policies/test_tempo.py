"""How fast an engine is, learned from what it does."""

from __future__ import annotations

import pytest

from lengthwise.core.request import Request
from lengthwise.policies.tempo import Tempo


def serve(tempo: Tempo, seconds_a_token: float, requests: int = 200) -> None:
    """One after the other: prompts of 100 and 1,000 tokens, 11 tokens a request."""
    now = 0.0
    for i in range(requests):
        it = Request(str(i), now, i, 100 if i % 2 else 1000)
        tempo.observe(now, [], True)
        tempo.seated(it, 1000.0)
        now += seconds_a_token * it.prompt_tokens
        it.generated = 1
        tempo.observe(now, [it], True)
        now += 10 * 0.05
        it.generated = 11
        tempo.observe(now, [it], True)
        tempo.gone(it)


@pytest.mark.parametrize("speed", [1e-5, 1e-3, 0.1])
def test_it_learns_seconds_to_the_first_token_whatever_the_engine(speed: float) -> None:
    tempo = Tempo()
    serve(tempo, speed)
    for prompt in (100, 1000):
        expected = tempo.first_token(Request("x", 0.0, 0, prompt))
        assert expected == pytest.approx(speed * prompt, rel=0.2)


def test_it_learns_seconds_a_token_and_the_pace_of_the_queue() -> None:
    tempo = Tempo()
    serve(tempo, 1e-3)
    assert tempo.answer(10.0) == pytest.approx(0.5, rel=0.05)
    # 0.55 s and 1.5 s a prompt of 100 and 1,000 tokens, and 1,000 tokens of work each.
    assert tempo.drain(2000.0) == pytest.approx(0.6 + 1.5, rel=0.1)


def test_before_it_has_seen_anything_no_time_is_expected_of_the_queue() -> None:
    tempo = Tempo()
    assert tempo.drain(1e6) == 0.0
    assert tempo.answer(100.0) == 0.0
    assert tempo.first_token(Request("x", 0.0, 0, 500)) > 0.0


def test_who_was_only_looked_at_teaches_nothing() -> None:
    tempo = Tempo()
    it = Request("x", 0.0, 0, 500)
    tempo.observe(0.0, [], True)
    tempo.seated(it, 700.0)
    tempo.unseated(it, 700.0)
    tempo.observe(1.0, [], True)
    assert tempo.drain(1.0) == 0.0
    tempo.gone(it)
