from collections import deque
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lengthwise.errors import UserError
from lengthwise.vllm.current_probe import CurrentProbe
from lengthwise.vllm.observing import Observing
from lengthwise.vllm.sampled import STATES, Sampling
from lengthwise.vllm.tap import WANTED, Tap

LAYERS = [2, 5]
D = 3


class Model:
    """A model that can be asked for hidden states."""

    def set_aux_hidden_state_layers(self, layers):
        self.layers = layers


class RunnerV1:
    """What the tap needs of vLLM's first model runner; a token's state is its position.

    Layer number l of request r at position p gives ``[p + 100 * l, r, 1]``.
    """

    def __init__(self):
        self.model = Model()
        self.use_aux_hidden_state_outputs = False
        self.requests = {}
        self.execute_model_state = None
        self.set_up()

    def set_up(self):
        self.input_batch = SimpleNamespace(
            req_ids=[],
            num_computed_tokens_cpu=np.zeros(256, dtype=np.int32),
            num_prompt_tokens=np.zeros(256, dtype=np.int32),
        )

    def get_model(self):
        return self.model

    def execute_model(self, scheduler_output):
        self.execute_model_state = None
        if scheduler_output.num_scheduled_tokens:
            self.execute_model_state = self.executed(scheduler_output)
        return "executed"

    def executed(self, scheduler_output):
        batch = self.input_batch
        batch.req_ids[:] = scheduler_output.num_scheduled_tokens
        for i, name in enumerate(batch.req_ids):
            batch.num_computed_tokens_cpu[i] = self.requests[name].num_computed_tokens
            batch.num_prompt_tokens[i] = self.requests[name].num_prompt_tokens
        return SimpleNamespace(aux_hidden_states=self.layers(batch.req_ids, scheduler_output))

    def layers(self, names, scheduler_output):
        return [
            torch.cat([self.states(name, scheduler_output, layer) for name in names])
            for layer in range(len(LAYERS))
        ]

    def states(self, name, scheduler_output, layer):
        before = self.requests[name].num_computed_tokens
        positions = torch.arange(before, before + scheduler_output.num_scheduled_tokens[name])
        return torch.stack(
            [
                positions + 100.0 * layer,
                torch.full((len(positions),), float(ord(name[0]))),
                torch.ones(len(positions)),
            ],
            dim=1,
        )

    def sample_tokens(self, grammar):
        return f"sampled {grammar}"


class RunnerV2(RunnerV1):
    """The same of the second: it sorts its batch, pads it, and has slots that change.

    As vLLM's own it keeps prompt lengths by slot, and leaves a state behind a dummy run too.
    """

    def set_up(self):
        self.req_states = SimpleNamespace(
            req_id_to_index={}, prompt_len=SimpleNamespace(np=np.zeros(256, dtype=np.int32))
        )
        self.slots = deque(range(256))

    def execute_model(self, scheduler_output, intermediate_tensors=None, dummy_run=False):
        if not dummy_run:
            self.place(scheduler_output)
            return super().execute_model(scheduler_output)
        names = list(scheduler_output.num_scheduled_tokens)
        self.execute_model_state = SimpleNamespace(
            input_batch=SimpleNamespace(req_ids=names),
            aux_hidden_states=[torch.full((8, D), torch.nan) for _ in LAYERS],
        )
        return "executed"

    def place(self, scheduler_output):
        """Every request gets another slot in every step, more often than vLLM's ever do."""
        slots = self.req_states.req_id_to_index
        self.slots.extend(slots.values())
        slots.clear()
        for name in scheduler_output.num_scheduled_tokens:
            slots[name] = self.slots.popleft()
            self.req_states.prompt_len.np[slots[name]] = self.requests[name].num_prompt_tokens

    def executed(self, scheduler_output):
        tokens = scheduler_output.num_scheduled_tokens
        names = sorted(tokens, key=tokens.get)
        slots = self.req_states.req_id_to_index
        padding = torch.full((8, D), torch.nan)
        return SimpleNamespace(
            input_batch=SimpleNamespace(
                req_ids=names,
                num_scheduled_tokens=np.array([tokens[name] for name in names], dtype=np.int32),
                num_computed_tokens_np=np.array(
                    [self.requests[name].num_computed_tokens for name in names], dtype=np.int32
                ),
                idx_mapping_np=np.array([slots[name] for name in names], dtype=np.intp),
            ),
            aux_hidden_states=[
                torch.cat([layer, padding]) for layer in self.layers(names, scheduler_output)
            ],
        )


RUNNERS = [RunnerV1, RunnerV2]


class Notes:
    """An observer that writes down what it is told."""

    reads_means = True

    def __init__(self):
        self.seen = []
        self.gone = []

    def observe(self, observation):
        self.seen.append(observation)

    def output(self, output):
        return f"{output}, noted"

    def forget(self, request_id):
        self.gone.append(request_id)


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture(params=RUNNERS)
def runner(request, notes):
    runner = request.param()
    Tap(runner, LAYERS, [Observing(notes, LAYERS)])
    return runner


def add(runner, name, prompt, computed=0):
    runner.requests[name] = SimpleNamespace(num_computed_tokens=computed, num_prompt_tokens=prompt)


@torch.inference_mode()
def run(runner, finished=(), wanted=None, **tokens):
    """One step with so many tokens of each request, in inference mode as vLLM's worker has it."""
    output = SimpleNamespace(num_scheduled_tokens=tokens, finished_req_ids=set(finished))
    if wanted is not None:
        setattr(output, WANTED, wanted)
    assert runner.execute_model(output) == "executed"
    for name, count in tokens.items():
        runner.requests[name].num_computed_tokens += count


def rewind(runner, name, to=0):
    """vLLM took its memory: what was computed must be computed again."""
    runner.requests[name].num_computed_tokens = to


def positions(states):
    """The positions that states speak of, in the first layer."""
    return states[:, 0, 0].tolist()


def test_the_model_is_asked_for_its_layers(runner):
    assert runner.model.layers == (2, 5)
    assert runner.use_aux_hidden_state_outputs


def test_the_last_state_and_the_prompts_mean_of_every_layer(runner, notes):
    add(runner, "a", prompt=4)
    add(runner, "b", prompt=2)
    run(runner, b=2, a=4)
    (seen,) = notes.seen
    assert seen.ids == ["b", "a"]
    assert seen.generated.tolist() == [0, 0]
    assert seen.prompt_tokens.tolist() == [2, 4]
    a, b = float(ord("a")), float(ord("b"))
    assert seen.current.tolist() == [[[1, b, 1], [101, b, 1]], [[3, a, 1], [103, a, 1]]]
    assert seen.prompt_mean.tolist() == [[[0.5, b, 1], [100.5, b, 1]], [[1.5, a, 1], [101.5, a, 1]]]


def test_generated_tokens_leave_the_prompts_mean_alone(runner, notes):
    add(runner, "a", prompt=4)
    for tokens in (4, 1, 1):
        run(runner, a=tokens)
    assert [seen.generated.tolist() for seen in notes.seen] == [[0], [1], [2]]
    assert [positions(seen.current) for seen in notes.seen] == [[3], [4], [5]]
    assert [positions(seen.prompt_mean) for seen in notes.seen] == [[1.5], [1.5], [1.5]]
    assert [positions(seen.prompt_end) for seen in notes.seen] == [[3], [3], [3]]


def test_a_prompt_in_chunks_has_the_same_mean_and_is_seen_at_its_end(runner, notes):
    add(runner, "a", prompt=10)
    add(runner, "b", prompt=1)
    run(runner, b=1, a=4)
    run(runner, b=1, a=3)
    run(runner, a=3, b=1)
    assert [sorted(seen.ids) for seen in notes.seen] == [["b"], ["b"], ["a", "b"]]
    last = notes.seen[-1]
    a, b = last.ids.index("a"), last.ids.index("b")
    assert positions(last.prompt_mean)[a] == 4.5
    assert positions(last.prompt_mean)[b] == 0.0
    assert (positions(last.current)[a], positions(last.current)[b]) == (9, 2)
    assert last.prompt_mean[[a, b], 0, 1].tolist() == [ord("a"), ord("b")]


def test_a_step_of_chunks_alone_shows_nothing(runner, notes):
    add(runner, "a", prompt=10)
    run(runner, a=4)
    assert notes.seen == []


def test_an_empty_step_shows_nothing(runner, notes):
    run(runner)
    assert notes.seen == []


def test_tokens_from_the_prefix_cache_are_left_out_of_the_mean(runner, notes):
    add(runner, "a", prompt=10, computed=6)
    run(runner, a=4)
    (seen,) = notes.seen
    assert positions(seen.prompt_mean) == [7.5]
    assert seen.prompt_mean[0, 0, 2] == 1
    assert seen.generated.tolist() == [0]


def test_recomputing_the_prompt_counts_nothing_twice(runner, notes):
    add(runner, "a", prompt=4)
    run(runner, a=4)
    for _ in range(3):
        run(runner, a=1)
    rewind(runner, "a")
    run(runner, a=4)
    run(runner, a=3)
    assert [int(seen.generated[0]) for seen in notes.seen] == [0, 1, 2, 3]
    run(runner, a=1)
    assert [int(seen.generated[0]) for seen in notes.seen] == [0, 1, 2, 3, 4]
    assert positions(notes.seen[-1].prompt_mean) == [1.5]
    assert notes.seen[-1].prompt_mean[0, 0, 2] == 1


def test_recomputing_all_in_one_step_goes_on_with_the_next_age(runner, notes):
    add(runner, "a", prompt=4)
    run(runner, a=4)
    run(runner, a=1)
    rewind(runner, "a")
    run(runner, a=6)
    assert [int(seen.generated[0]) for seen in notes.seen] == [0, 1, 2]
    assert positions(notes.seen[-1].current) == [5]
    assert positions(notes.seen[-1].prompt_mean) == [1.5]


def test_a_preemption_in_the_middle_of_the_prompt_counts_nothing_twice(runner, notes):
    add(runner, "a", prompt=8)
    run(runner, a=5)
    rewind(runner, "a")
    run(runner, a=3)
    run(runner, a=5)
    (seen,) = notes.seen
    assert positions(seen.prompt_mean) == [3.5]
    assert seen.prompt_mean[0, 0, 2] == 1


def test_a_finished_request_is_forgotten_and_leaves_a_clean_row(runner, notes):
    add(runner, "a", prompt=4)
    run(runner, a=4)
    add(runner, "b", prompt=2)
    run(runner, finished=["a"], b=2)
    assert notes.gone == ["a"]
    assert positions(notes.seen[-1].prompt_mean) == [0.5]
    add(runner, "a", prompt=2)
    run(runner, a=2)
    assert (notes.seen[-1].ids, notes.seen[-1].generated.tolist()) == (["a"], [0])


def test_many_requests_at_once_keep_their_own_sums(runner, notes):
    names = [f"{letter}{i}" for letter in "abcdefg" for i in range(30)]
    for name in names:
        add(runner, name, prompt=3)
    run(runner, **dict.fromkeys(names, 2))
    run(runner, **dict.fromkeys(names, 1))
    (seen,) = notes.seen
    assert seen.ids == names
    assert set(positions(seen.prompt_mean)) == {1.0}
    np.testing.assert_allclose(seen.prompt_mean[:, 1, 1], [ord(name[0]) for name in names])


def test_what_an_observer_keeps_is_not_overwritten(runner, notes):
    add(runner, "a", prompt=2)
    run(runner, a=2)
    kept = notes.seen[0].prompt_mean.clone()
    add(runner, "b", prompt=2)
    run(runner, finished=["a"], b=2)
    assert torch.equal(notes.seen[0].prompt_mean, kept)


def test_the_observer_sees_what_was_sampled(runner):
    assert runner.sample_tokens("grammar") == "sampled grammar, noted"


def of_an_unknown_kind(runner):
    del runner.input_batch


def without_hidden_states(runner):
    runner.model = object()


def with_speculation(runner):
    runner.use_aux_hidden_state_outputs = True


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (of_an_unknown_kind, "cannot read vLLM's RunnerV1"),
        (without_hidden_states, "object offers the hidden states of its last layer only"),
        (with_speculation, "speculative decoding"),
    ],
)
def test_a_runner_that_cannot_be_tapped_is_refused_and_left_alone(spoil, says):
    runner = RunnerV1()
    spoil(runner)
    with pytest.raises(UserError, match=says):
        Tap(runner, LAYERS, [Observing(Notes(), LAYERS)])
    assert "execute_model" not in vars(runner)


def test_unwanted_steps_are_not_observed_but_their_prompts_count(runner, notes):
    add(runner, "a", prompt=4)
    run(runner, a=4, wanted=False)
    run(runner, a=1, wanted=False)
    assert not notes.seen
    run(runner, a=1, wanted=True)
    (seen,) = notes.seen
    assert seen.generated.tolist() == [2]
    assert positions(seen.current) == [5]
    assert positions(seen.prompt_mean) == [1.5]
    assert positions(seen.prompt_end) == [3]


def test_the_next_chunk_of_a_streamed_input_begins_ages_again(runner, notes):
    """Its prompt is then all there was, answer included, and what is new."""
    add(runner, "a", prompt=4)
    run(runner, a=4)
    run(runner, a=1)
    runner.requests["a"].num_prompt_tokens = 8
    run(runner, a=3)
    assert [int(seen.generated[0]) for seen in notes.seen] == [0, 1, 0]
    assert notes.seen[-1].prompt_tokens.tolist() == [8]
    assert positions(notes.seen[-1].prompt_end) == [7]


def test_a_long_prompt_has_the_mean_of_all_its_tokens(runner, notes):
    """They are added up some thousand at a time."""
    add(runner, "a", prompt=5000)
    add(runner, "b", prompt=3001)
    run(runner, b=3001, a=5000)
    (seen,) = notes.seen
    assert seen.ids == ["b", "a"]
    np.testing.assert_allclose(positions(seen.prompt_mean), [1500, 2499.5], rtol=1e-5)
    np.testing.assert_allclose(seen.prompt_mean[:, 1, 2], [1, 1], rtol=1e-6)


@pytest.mark.parametrize("kind", RUNNERS)
def test_two_watchers_see_the_same_steps_wanted_or_not(kind, notes):
    """States are sampled whether predictions are wanted or not, and one layer may be read."""
    runner, sampling = kind(), Sampling(LAYERS, at_once=4, positions=9)
    runner.sample_tokens = lambda grammar: SimpleNamespace()
    notes.output = lambda output: output
    Tap(runner, LAYERS, [Observing(notes, LAYERS, [5]), sampling])
    add(runner, "a", prompt=4)
    add(runner, "b", prompt=2)
    kept = []
    for wanted, tokens in ((False, {"b": 2, "a": 3}), (True, {"a": 1, "b": 1})):
        run(runner, wanted=wanted, **tokens)
        kept.append(getattr(runner.sample_tokens(None), STATES))
    assert [(each.ids, each.ages.tolist()) for each in kept] == [(["b"], [0]), (["a", "b"], [0, 1])]
    assert kept[1].values[:, :, 0].tolist() == [[3, 103], [2, 102]]
    (seen,) = notes.seen
    assert seen.current[:, :, 0].tolist() == [[103], [102]]
    run(runner, finished=["a"], b=1)
    assert notes.gone == ["a"]


def test_a_step_that_nobody_looks_at_is_not_read():
    runner = RunnerV1()
    current = CurrentProbe(LAYERS, D, "cpu")
    Tap(runner, LAYERS, [current])
    add(runner, "a", prompt=2)
    runner.input_batch = None
    with pytest.raises(AttributeError):
        run(runner, a=2)
    runner.executed = lambda scheduler_output: None
    run(runner, a=2)


def test_dummy_runs_are_passed_through(notes):
    runner = RunnerV2()
    Tap(runner, LAYERS, [Observing(notes, LAYERS)])
    add(runner, "a", prompt=2)
    run(runner, a=2)
    dummy = SimpleNamespace(num_scheduled_tokens={"req_0_ab": 8}, finished_req_ids=set())
    assert runner.execute_model(dummy, dummy_run=True) == "executed"
    run(runner, a=1)
    assert [seen.ids for seen in notes.seen] == [["a"], ["a"]]
    assert positions(notes.seen[-1].prompt_mean) == [0.5]
