from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lengthwise.errors import UserError
from lengthwise.vllm.tap import WANTED, Tap

LAYERS = [2, 5]
D = 3


class Model:
    """A model that can be asked for hidden states."""

    def set_aux_hidden_state_layers(self, layers):
        self.layers = layers


class Runner:
    """What the tap needs of vLLM's model runner; a token's state is its position.

    Layer number l of request r at position p gives ``[p + 100 * l, r, 1]``.
    """

    def __init__(self):
        self.model = Model()
        self.use_aux_hidden_state_outputs = False
        self.input_batch = SimpleNamespace(req_ids=[])
        self.requests = {}
        self.execute_model_state = None

    def get_model(self):
        return self.model

    def execute_model(self, scheduler_output):
        batch = self.input_batch.req_ids = list(scheduler_output.num_scheduled_tokens)
        self.execute_model_state = SimpleNamespace(
            aux_hidden_states=[
                torch.cat([self.states(name, scheduler_output, layer) for name in batch])
                for layer in range(len(LAYERS))
            ]
            if batch
            else []
        )
        return "executed"

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


class Notes:
    """An observer that writes down what it is told."""

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


@pytest.fixture
def runner(notes):
    runner = Runner()
    Tap(runner, LAYERS, notes)
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
    run(runner, a=4, b=2)
    (seen,) = notes.seen
    assert seen.ids == ["a", "b"]
    assert seen.generated.tolist() == [0, 0]
    assert seen.prompt_tokens.tolist() == [4, 2]
    a, b = float(ord("a")), float(ord("b"))
    assert seen.current.tolist() == [[[3, a, 1], [103, a, 1]], [[1, b, 1], [101, b, 1]]]
    assert seen.prompt_mean.tolist() == [[[1.5, a, 1], [101.5, a, 1]], [[0.5, b, 1], [100.5, b, 1]]]


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
    assert [seen.ids for seen in notes.seen] == [["b"], ["b"], ["a", "b"]]
    last = notes.seen[-1]
    assert positions(last.prompt_mean) == [4.5, 0.0]
    assert positions(last.current) == [9, 2]
    assert last.prompt_mean[:, 0, 1].tolist() == [ord("a"), ord("b")]


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


def without_input_batch(runner):
    del runner.input_batch


def without_hidden_states(runner):
    runner.model = object()


def with_speculation(runner):
    runner.use_aux_hidden_state_outputs = True


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without_input_batch, "VLLM_USE_V2_MODEL_RUNNER=0"),
        (without_hidden_states, "object does not offer hidden states"),
        (with_speculation, "speculative decoding"),
    ],
)
def test_a_runner_that_cannot_be_tapped_is_refused_and_left_alone(spoil, says):
    runner = Runner()
    spoil(runner)
    with pytest.raises(UserError, match=says):
        Tap(runner, LAYERS, Notes())
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
