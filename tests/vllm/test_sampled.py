"""States kept while serving: whose, at which ages, of which layers."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lengthwise.core.bins import Bins
from lengthwise.predictors.store import Packed
from lengthwise.vllm.ages import next_age, offset_of
from lengthwise.vllm.current_probe import NEW_PROBE, NewProbe
from lengthwise.vllm.sampled import STATES, Sampling
from lengthwise.vllm.step import Step

TAPPED = (3, 6, -1)
D = 2
PROMPT = 4


class Served:
    """Requests with prompts of 4 tokens, served step by step; a state says layer and position."""

    def __init__(self, **options):
        self.sampling = Sampling(TAPPED, **{"at_once": 8, "positions": 100, "pace": 1, **options})
        self.computed = {}
        self.prompts = {}
        self.kept = {}
        self.rows = []

    def step(self, *finished, new=None, **tokens):
        told = SimpleNamespace(finished_req_ids=set(finished))
        if new is not None:
            setattr(told, NEW_PROBE, new)
        self.sampling.begin(told)
        if tokens:
            self.sampling.see(self.launched(tokens), wanted=False)
        found = getattr(self.sampling.output(SimpleNamespace()), STATES, None)
        if found is not None:
            self.rows.append(found)
            for name, age in zip(found.ids, found.ages.tolist(), strict=True):
                self.kept.setdefault(name, []).append(age)
        return found

    def launched(self, tokens):
        ids, counts = list(tokens), list(tokens.values())
        before = [self.computed.get(each, 0) for each in ids]
        for name, count in tokens.items():
            self.computed[name] = self.computed.get(name, 0) + count
        positions = np.concatenate(
            [np.arange(at, at + count) for at, count in zip(before, counts, strict=True)]
        )
        states = [
            torch.tensor([[100.0 * layer, position] for position in positions.tolist()])
            for layer in range(len(TAPPED))
        ]
        prompts = [self.prompts.get(each, PROMPT) for each in ids]
        return Step(ids, np.array(counts), np.array(before), np.array(prompts), states)

    def serve(self, answers):
        """Answer all at once, each with so many tokens."""
        self.step(**dict.fromkeys(answers, PROMPT))
        for age in range(1, max(answers.values())):
            self.step(**{name: 1 for name, length in answers.items() if age < length})
        self.step(*answers)


def ages_of(name, length):
    ages = [0]
    while ages[-1] < length:
        ages.append(next_age(ages[-1], offset_of(name)))
    return ages[:-1]


def test_each_request_is_kept_at_the_ages_of_its_scale():
    served = Served()
    answers = {"a": 50, "b": 7, "c": 1, "d": 200}
    served.serve(answers)
    assert served.kept == {name: ages_of(name, length) for name, length in answers.items()}


@pytest.mark.parametrize("pace", [2, 4])
def test_a_pace_gathers_what_is_due_without_losing_any_range_of_ages(pace):
    served = Served(pace=pace)
    served.serve({"a": 300})
    times = [sum(row.ages.tolist()) for row in served.rows]
    assert times[0] == 0
    for before, after in itertools.pairwise(times):
        assert after >= before + pace
        assert after < next_age(before, offset_of("a")) + pace
    # An age that is no more than due waits for no one.
    exact = set(ages_of("a", 300))
    assert all(age in exact for age in times if age > 60)


def test_whoever_is_due_when_a_prompt_ends_is_kept_with_it():
    served = Served(pace=10)
    served.step(a=PROMPT)
    served.step(a=1)
    assert served.step(a=1, b=PROMPT).ids == ["a", "b"]


def test_what_is_kept_is_each_layers_state_at_the_last_token():
    served = Served()
    served.step(a=PROMPT, b=2)
    (row,) = served.rows
    assert (row.ids, row.ages.tolist(), row.layers) == (["a"], [0], TAPPED)
    assert row.values.dtype == np.float16
    assert row.values.tolist() == [[[0, 3], [100, 3], [200, 3]]]
    found = served.step(a=1, b=2)
    assert (found.ids, found.ages.tolist()) == (["a", "b"], [1, 0])
    assert found.values[:, 1].tolist() == [[100, 4], [100, 3]]


def test_a_step_in_which_nothing_is_due_adds_nothing():
    served = Served(positions=1)
    assert served.step(a=PROMPT) is not None
    assert served.step(a=1) is None


def test_a_place_is_taken_when_a_prompt_ends_and_free_when_its_request_is_gone():
    served = Served(at_once=2)
    served.step(a=PROMPT, b=PROMPT, c=PROMPT)
    served.step(c=1, a=1)
    served.step("a", d=PROMPT, c=1)
    assert set(served.kept) == {"a", "b", "d"}


def test_whoever_found_no_place_is_not_taken_up_when_it_is_computed_again():
    served = Served(at_once=1)
    served.step(a=PROMPT, b=PROMPT)
    served.computed["b"] = 0
    served.step("a", b=PROMPT)
    assert set(served.kept) == {"a"}


def test_an_evicted_request_goes_on_where_it_was():
    """Its prompt and answer are computed again, in chunks or at once."""
    served = Served()
    served.step(a=PROMPT, b=PROMPT)
    for _ in range(9):
        served.step(a=1, b=1)
    served.computed["a"] = 0
    for chunk in (PROMPT, 3, 7):
        served.step(a=chunk, b=1)
    for _ in range(40):
        served.step(a=1, b=1)
    assert served.kept == {"a": ages_of("a", 51), "b": ages_of("b", 53)}


def test_one_that_is_paused_for_a_while_misses_no_age():
    served = Served()
    served.step(a=PROMPT, b=PROMPT)
    for step in range(1, 120):
        served.step(**({"b": 1} if step % 3 else {"a": 1, "b": 1}))
    assert served.kept == {"a": ages_of("a", 40), "b": ages_of("b", 120)}


def test_the_next_input_of_a_session_begins_at_age_0_again():
    served = Served()
    served.step(a=PROMPT)
    served.step(a=1)
    served.prompts["a"] = 8
    served.step(a=3)
    served.step(a=1)
    assert served.kept == {"a": [0, 1, 0, 1]}


def test_an_answer_has_no_more_positions_than_it_may():
    served = Served(positions=5)
    served.serve({"a": 100})
    assert served.kept == {"a": ages_of("a", 100)[:5]}


def test_only_the_chosen_layers_are_kept():
    served = Served()
    served.step(a=PROMPT)
    served.sampling.only([6])
    found = served.step(a=1)
    assert found.layers == (6,)
    assert found.values.tolist() == [[[100, 4]]]
    served.sampling.only([99])
    assert served.step(a=1).layers == TAPPED


def test_a_new_probe_says_which_layer_is_worth_keeping_and_none_that_all_are():
    served = Served()
    packed = Packed("trail", Bins.equal(5, 50), {"layer": -1}, {})
    assert served.step(a=PROMPT, new=NewProbe(1, packed)).layers == (-1,)
    assert served.step(a=1, new=NewProbe(2, None)).layers == TAPPED


def test_states_too_large_for_float16_are_cut():
    sampling = Sampling((1,), at_once=1, positions=1)
    state = torch.tensor([[1e6, -1e6]])
    sampling.see(Step(["a"], np.array([1]), np.array([0]), np.array([1]), [state]), True)
    found = getattr(sampling.output(SimpleNamespace()), STATES)
    assert found.values.tolist() == [[[65504, -65504]]]


def test_without_an_output_nothing_is_added():
    sampling = Sampling((1,), at_once=1, positions=1)
    assert sampling.output(None) is None


@pytest.mark.parametrize("at_once", [1, 3])
def test_nothing_is_remembered_of_the_gone(at_once):
    served = Served(at_once=at_once)
    for i in range(20):
        served.serve({f"{i}-{j}": 3 for j in range(5)})
    assert not served.sampling._places
    assert not served.sampling._decided
