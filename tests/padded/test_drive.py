import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.padded import SYSTEMS, Constants, Limits, Ran, SliceTime, make_system
from lengthwise.padded import figures as made
from lengthwise.padded.drive import serve
from lengthwise.padded.fixed import Fixed
from lengthwise.results.files import plain

TIME = SliceTime((1e-5, 1e-4, 1e-4, 1e-2), (1e-6, 1e-4, 1e-6, 2e-2))


class Card:
    """An engine that takes a second a token, and notes what it ran."""

    def __init__(self, output, memory=math.inf):
        self.output, self.memory = output, memory
        self.seen = []

    def start(self, instance, batch):
        left = [self.output[r.seq] - r.generated for r in batch.requests]
        steps = min(max(left), batch.slice or max(left))
        self.seen.append((instance, [r.seq for r in batch.requests]))
        n = len(batch)
        if n * (batch.length + steps) > self.memory:
            return lambda: Ran(1.0, 1, [0] * n, [False] * n, out_of_memory=True)
        tokens = [min(each, steps) for each in left]
        return lambda: Ran(float(steps), steps, tokens, [each <= steps for each in left])


def requests(arrivals, prompt=10):
    return [Request(str(i), arrival, i, prompt) for i, arrival in enumerate(arrivals)]


def test_batches_follow_each_other_on_the_engines_clock():
    made = requests([0.0, 0.0, 1.0])
    log = serve(made, Fixed("vanilla", 2), Card([3, 5, 2]), 1)
    assert [(each.start, each.end, each.size) for each in log.batches] == [(0, 5, 2), (5, 7, 1)]
    assert [timing.finish for timing in log.timings] == [5, 5, 7]


def test_waiting_for_an_arrival_takes_no_batch():
    log = serve(requests([0.0, 100.0]), Fixed("vanilla", 2), Card([3, 4]), 1)
    assert [(each.start, each.end) for each in log.batches] == [(0, 3), (100, 104)]


def test_instances_run_side_by_side():
    card = Card([9, 2, 2, 2])
    log = serve(requests([0.0] * 4), Fixed("vanilla", 1), card, 2)
    assert card.seen == [(0, [0]), (1, [1]), (1, [2]), (1, [3])]
    assert max(timing.finish for timing in log.timings) == 9


def test_a_slice_sends_the_unfinished_back_with_what_they_have():
    log = serve(requests([0.0, 0.0]), Fixed("sls+slices", 2, slice=4), Card([3, 9]), 1)
    assert [(each.length, each.ran.steps) for each in log.batches] == [(10, 4), (14, 4), (18, 1)]
    assert [(timing.first, timing.finish, timing.slices) for timing in log.timings] == [
        (4, 4, 1),
        (4, 9, 3),
    ]
    assert [timing.longest_gap for timing in log.timings] == [0, 4]


def figures(log, instances):
    """All of a run's figures, by name."""
    parts = made.figures(log, instances)
    return {name: value for part in parts for name, value in plain(part).items()}


def test_a_batch_out_of_memory_is_served_in_halves():
    card = Card([5, 5, 5], memory=35)
    log = serve(requests([0.0] * 3), Fixed("vanilla", 3), card, 1)
    assert [members for _, members in card.seen] == [[0, 1, 2], [0], [1, 2]]
    found = figures(log, 1)
    assert (found["oom_events"], found["lost_tokens"], found["finished"]) == (1, 3, 3)


def test_a_request_that_never_fits_is_rejected_and_the_others_served():
    log = serve(requests([0.0] * 2), Fixed("vanilla", 2), Card([5, 90], memory=50), 1)
    assert (log.rejected, figures(log, 1)["finished"]) == (1, 1)


def test_the_predictor_is_asked_once_and_told_the_end():
    class Predictor:
        asked, told = [], []

        def predict(self, request):
            self.asked.append(request.seq)
            return 5.0

        def finished(self, request, now):
            self.told.append((request.seq, request.generated, now))

    limits = Limits(1, 100, 50, TIME)
    system = make_system("magnus", limits, Constants())
    serve(requests([0.0, 1.0]), system, Card([3, 4]), 1, Predictor())
    assert Predictor.asked == [0, 1]
    assert Predictor.told == [(0, 3, 3), (1, 4, 7)]


def test_a_system_that_keeps_a_request_back_is_an_error():
    class Forgetful(Fixed):
        def assign(self, now, idle):
            return []

    with pytest.raises(UserError, match="leaves 1 requests unserved"):
        serve(requests([0.0]), Forgetful("vanilla", 1), Card([1]), 1)


def test_a_system_for_which_time_would_stand_still_is_an_error():
    class Restless(Fixed):
        def assign(self, now, idle):
            return []

        def wake(self, now):
            return now

    with pytest.raises(UserError, match="leaves 1 requests unserved"):
        serve(requests([0.0]), Restless("vanilla", 1), Card([1]), 1)


def test_the_figures_count_what_was_wasted():
    made = requests([0.0, 0.0, 0.0])
    made[1].prompt_tokens = 4
    log = serve(made, Fixed("sls+slices", 2, slice=4), Card([3, 6, 1]), 1)
    found = figures(log, 1)
    # Batches: {0, 1} for 4 tokens, {2, 1} for 2: row 0 wastes 1, row 2 wastes 1.
    assert (found["output_tokens"], found["invalid_tokens"]) == (10, 2)
    assert found["pad_tokens"] == 6 + 2
    assert found["recomputed_tokens"] == 4 + 4
    assert found["slices_per_request"] == pytest.approx(4 / 3)
    assert found["early_return_share"] == 0.5
    assert found["mean_batch_size"] == 2
    assert found["requests_per_s"] == pytest.approx(3 / 6)


JOBS = st.lists(
    st.tuples(st.floats(0, 50), st.integers(1, 40), st.integers(1, 60), st.floats(1, 60)),
    min_size=1,
    max_size=25,
)


class Said:
    """Predictions that have nothing to do with the truth."""

    def __init__(self, predicted):
        self.predicted = predicted

    def predict(self, request):
        return self.predicted[request.seq]

    def finished(self, request, now):
        assert request.generated > 0


@settings(max_examples=30)
@given(JOBS, st.integers(1, 3), st.sampled_from(list(SYSTEMS)))
def test_whatever_is_predicted_everybody_is_served_to_the_end(jobs, instances, name):
    arrivals, prompts, output, predicted = zip(*jobs, strict=True)
    made = [
        Request(str(i), arrival, i, prompt)
        for i, (arrival, prompt) in enumerate(zip(arrivals, prompts, strict=True))
    ]
    limits = Limits(instances, 250, 100, TIME)
    card = Card(output, limits.memory)
    system = make_system(name, limits, Constants(slice=16, gamma=1.0, neighbours=2, refresh=5.0))
    log = serve(made, system, card, instances, Said(predicted))
    assert [request.generated for request in made] == list(output)
    assert all(timing.finish > timing.request.arrival for timing in log.timings)
    for instance in range(instances):
        times = [(each.start, each.end) for each in log.batches if each.instance == instance]
        assert all(end <= start for (_, end), (start, _) in pairwise(times))
    if name in ("vanilla", "glp", "abp", "magnus"):
        assert all(timing.slices == 1 for timing in log.timings)
    if name not in ("glp", "abp", "magnus"):
        assert not any(each.ran.out_of_memory for each in log.batches)
