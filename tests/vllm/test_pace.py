from types import SimpleNamespace

import pytest

from lengthwise.vllm.pace import Pace


@pytest.fixture
def world():
    request = SimpleNamespace(num_computed_tokens=30, num_prompt_tokens=10)
    scheduler = SimpleNamespace(requests={"a": request})
    clock = SimpleNamespace(now=0.0)
    return SimpleNamespace(pace=Pace(scheduler, lambda: clock.now), clock=clock)


def step(world, seconds, tokens=1):
    world.pace.begins()
    output = SimpleNamespace(num_scheduled_tokens={"a": tokens}, total_num_scheduled_tokens=tokens)
    world.pace.scheduled(output)
    world.clock.now += seconds


def test_a_step_in_eight_is_timed_until_the_next_one(world):
    for i in range(16 * 8 + 1):
        step(world, 0.01 * (1 + i % 8))
    assert world.pace.take() == [(0, 1, 29, pytest.approx(0.08))] * 16
    assert world.pace.take() == []


def test_few_steps_are_not_handed_on(world):
    for _ in range(15 * 8 + 1):
        step(world, 0.01)
    assert world.pace.take() == []


def test_what_came_before_a_rest_is_not_timed(world):
    for _ in range(8):
        step(world, 0.01)
    world.pace.idles()
    world.clock.now += 60.0
    for _ in range(16 * 8 + 1):
        step(world, 0.01)
    assert max(row[3] for row in world.pace.take()) == pytest.approx(0.01)


def test_steps_without_tokens_are_none(world):
    for _ in range(200):
        step(world, 0.01, tokens=0)
    assert world.pace.take() == []
