"""The probe changes while requests are served."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lengthwise.core.bins import Bins
from lengthwise.predictors.baselines import Constant
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.store import Packed
from lengthwise.predictors.trail import Trail
from lengthwise.vllm.current_probe import NEW_PROBE, CurrentProbe, NewProbe
from lengthwise.vllm.refining import ATTRIBUTE
from lengthwise.vllm.step import Step

TAPPED = (3, 6, -1)
D = 4


def probe(layer=6, bins=5, width=D, seed=0):
    torch.manual_seed(seed)
    made = Probe(layer, width, Bins.equal(bins, 50), hidden=8).eval()
    made.outlook.normal_()
    return made


def packed(**given):
    return Packed.of(Trail(probe(**given)))


class Worker:
    """Steps of one request or more, each with a prompt of 3 tokens, and what comes of them."""

    def __init__(self, first=None):
        self.current = CurrentProbe(TAPPED, D, "cpu", first=first)
        self.computed = {}

    @torch.inference_mode()
    def step(self, *finished, new=None, wanted=True, **tokens):
        told = SimpleNamespace(finished_req_ids=set(finished))
        if new is not None:
            setattr(told, NEW_PROBE, new)
        self.current.begin(told)
        if self.current.awake:
            self.current.see(self.launched(tokens), wanted)
        for name, count in tokens.items():
            self.computed[name] = self.computed.get(name, 0) + count
        return getattr(self.current.output(SimpleNamespace()), ATTRIBUTE, None)

    def launched(self, tokens):
        counts = np.array(list(tokens.values()))
        before = np.array([self.computed.get(name, 0) for name in tokens])
        states = [torch.randn(int(counts.sum()), D) for _ in TAPPED]
        return Step(list(tokens), counts, before, np.full(len(counts), 3), states)


def test_without_a_probe_it_sleeps():
    worker = Worker()
    assert not worker.current.awake
    assert worker.step(a=3) is None


def test_a_new_probe_predicts_whose_prompts_end_from_then_on():
    """What it reads of the others it has not seen; who waits for an answer gets an empty one."""
    worker = Worker()
    worker.step(a=3)
    found = worker.step(new=NewProbe(7, packed()), a=1)
    assert (found.ids, found.version, found.probabilities.shape) == ([], 7, (0, 5))
    found = worker.step(a=1, b=3)
    assert (found.ids, found.generated.tolist(), found.version) == (["b"], [0], 7)
    found = worker.step(a=1, b=1)
    assert (found.ids, found.generated.tolist()) == (["b"], [1])


def test_a_prompt_whose_end_comes_after_the_change_is_seen():
    worker = Worker()
    worker.step(a=2)
    found = worker.step(new=NewProbe(1, packed()), a=1)
    assert (found.ids, found.generated.tolist()) == (["a"], [0])


def test_an_evicted_request_is_seen_once_its_prompt_is_computed_again():
    worker = Worker()
    worker.step(a=3)
    worker.step(a=1)
    worker.step(new=NewProbe(1, packed()), a=1)
    worker.computed["a"] = 0
    found = worker.step(a=6)
    assert (found.ids, found.generated.tolist()) == (["a"], [3])


def test_another_probe_takes_the_place_of_the_first_and_beliefs_are_dropped():
    worker = Worker(first=probe())
    assert worker.step(a=3).version == 0
    found = worker.step(new=NewProbe(2, packed(bins=9, seed=1)), b=3)
    assert (found.ids, found.version, found.probabilities.shape) == (["b"], 2, (1, 9))
    assert worker.step(a=1, b=1).ids == ["b"]


def test_none_stops_it():
    worker = Worker(first=probe())
    worker.step(a=3)
    assert worker.step(new=NewProbe(3, None), a=1) is None
    assert not worker.current.awake
    assert worker.step(a=1) is None


def test_unwanted_steps_are_answered_by_nothing():
    worker = Worker(first=probe())
    assert worker.step(a=3, wanted=False) is None
    assert worker.step(a=1).ids == ["a"]


def constant():
    bins = Bins.equal(5, 50)
    return Packed.of(Constant.restore(bins, {}, {"shares": np.full(5, 0.2, np.float32)}))


def damaged():
    whole = packed()
    return Packed(whole.kind, whole.bins, {**whole.settings, "hidden": 9}, whole.arrays)


def unknown():
    whole = packed()
    return Packed("nothing", whole.bins, whole.settings, whole.arrays)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (packed(layer=5), "layer 5; tapped are [3, 6, -1]"),
        (packed(width=D + 1), "states of 5 numbers, not 4"),
        (constant(), "reads no hidden states"),
        (damaged(), "size mismatch"),
        (unknown(), "damaged: KeyError"),
    ],
)
def test_one_that_cannot_be_asked_is_told_of_in_one_line_and_nobody_is_asked(given, says, caplog):
    worker = Worker(first=probe())
    with caplog.at_level(logging.WARNING, "vllm.lengthwise"):
        assert worker.step(new=NewProbe(4, given), a=3) is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert "version 4" in line
    assert says in line
    assert worker.step(a=1) is None
    assert worker.step(new=NewProbe(5, packed()), b=3).ids == ["b"]
