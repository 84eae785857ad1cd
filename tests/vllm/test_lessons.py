"""What the scheduler tells of requests that are gone, and what it does with what acts."""

from types import SimpleNamespace

import pytest

from lengthwise.core.request import Request
from lengthwise.online.messages import Acts, Steps
from lengthwise.online.tutor import Counters
from lengthwise.vllm.arrivals import NoPredictor
from lengthwise.vllm.lessons import Lessons
from lengthwise.vllm.switching import SwitchingPredictor


class Tutor:
    """Keeps what it is told; has news when a test says so."""

    def __init__(self):
        self.told, self.rows, self.coming, self.closed = [], [], [], False
        self.counters = Counters()

    def finished(self, finished):
        self.told.append(finished)

    def steps(self, steps):
        self.rows.append(steps)

    def news(self):
        found, self.coming = self.coming, []
        return found

    def close(self):
        self.closed = True


@pytest.fixture
def world():
    tutor, used = Tutor(), []
    probing = SimpleNamespace(use=lambda *what: used.append(what))
    scheduler = SimpleNamespace(requests={}, clock=lambda: 0.0)
    switching = SwitchingPredictor(NoPredictor())
    lessons = Lessons(scheduler, tutor, switching, probing)
    yield SimpleNamespace(lessons=lessons, tutor=tutor, used=used, switching=switching)
    switching.close()


def gone(world, reason, tokens=5, stop=(), prompt=(1, 2, 3)):
    params = SimpleNamespace(max_tokens=64, stop=list(stop), extra_args=None)
    request = SimpleNamespace(
        request_id="a",
        prompt_token_ids=list(prompt),
        num_output_tokens=tokens,
        get_finished_reason=lambda: reason,
        sampling_params=params,
        max_tokens=64,
    )
    world.lessons.gone(request, Request("a", 7.5, 0, len(prompt), tokens))
    return world.tutor.told


@pytest.mark.parametrize(
    ("reason", "stop", "cut"),
    [
        ("stop", (), False),
        ("length", (), True),
        ("abort", (), True),
        # A stop string is found by vLLM's front end, which then gives the request up.
        ("abort", ("\n",), False),
    ],
)
def test_how_a_request_ended_says_whether_its_length_is_known(world, reason, stop, cut):
    (finished,) = gone(world, reason, stop=stop)
    assert (finished.tokens, finished.cut) == (5, cut)
    assert (finished.asked.prompt_ids, finished.asked.max_tokens) == ([1, 2, 3], 64)
    assert (finished.arrival, finished.predicted, finished.version) == (7.5, None, 0)
    assert finished.states is None


@pytest.mark.parametrize(
    ("reason", "tokens", "prompt"),
    [("error", 5, (1,)), ("None", 5, (1,)), ("abort", 0, (1,)), ("stop", 5, ())],
)
def test_nothing_is_told_of_what_tells_nothing(world, reason, tokens, prompt):
    assert gone(world, reason, tokens=tokens, prompt=prompt) == []


def test_what_acts_is_put_to_use_before_the_next_step(world):
    world.tutor.coming = [Acts("probe", 4, None), Acts("prompt", 0, None)]
    world.lessons.begins()
    assert world.used == [(4, None)]
    assert world.switching.version == 0


def test_steps_are_handed_on_together(world):
    for _ in range(16 * 8 + 1):
        world.lessons.begins()
        output = SimpleNamespace(num_scheduled_tokens={}, total_num_scheduled_tokens=1)
        world.lessons.scheduled(output)
        world.lessons.took(SimpleNamespace())
    assert world.tutor.rows == [Steps([(0, 0, 0, 0.0)] * 16)]


def test_versions_that_act_are_in_the_stats(world):
    world.tutor.counters.acting["prompt"] = 3
    assert world.lessons.stats() == {
        "told": 0,
        "untold": 0,
        "learners": 0,
        "prompt_version": 3,
        "probe_version": 0,
    }
    world.lessons.close()
    assert world.tutor.closed
