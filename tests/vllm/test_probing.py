"""The scheduler's side of the probe: another one may be asked from a step on."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lengthwise.core.bins import Bins
from lengthwise.core.foresight import Foresight
from lengthwise.core.request import Request
from lengthwise.policies import make_policy
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.store import Packed
from lengthwise.predictors.trail import Trail
from lengthwise.vllm.current_probe import NEW_PROBE
from lengthwise.vllm.probing import Probing
from lengthwise.vllm.refining import ATTRIBUTE, Predictions
from lengthwise.vllm.tap import WANTED


def packed(bins):
    torch.manual_seed(0)
    return Packed.of(Trail(Probe(3, 4, Bins.equal(bins, 50), hidden=8)))


def certain(version, bins, row=1, name="a"):
    """It is sure of one bin."""
    shares = np.eye(bins, dtype=np.float32)[[row]]
    predictions = Predictions([name], np.array([2]), shares, version)
    return SimpleNamespace(**{ATTRIBUTE: predictions}, sampled_token_ids=[[7]])


@pytest.fixture
def views():
    return {"a": Request("a", 0.0, 0, 5)}


@pytest.fixture
def probing(views):
    policy = make_policy("trail")
    seats = SimpleNamespace(
        foresight=Foresight(SimpleNamespace(), policy, []), looks_next=True, contested=True
    )
    requests = {"a": SimpleNamespace(max_tokens=100)}
    return Probing(None, policy, seats, views, requests)


def step():
    return SimpleNamespace(scheduled_new_reqs=[])


def asked(probing):
    output = step()
    probing.ask(output)
    return output


def test_without_a_probe_nothing_is_asked_or_heard(probing, views):
    assert vars(asked(probing)) == vars(step())
    probing.take(step(), certain(0, 5))
    assert not views["a"].probed


def test_a_new_probe_is_sent_once_and_asked_from_then_on(probing):
    probing.use(3, packed(5))
    first, second = asked(probing), asked(probing)
    assert getattr(first, NEW_PROBE).version == 3
    assert getattr(first, NEW_PROBE).layer == 3
    assert getattr(first, WANTED)
    assert not hasattr(second, NEW_PROBE)
    assert getattr(second, WANTED)


def test_only_the_version_is_heard_whose_bins_are_known(probing, views):
    """Of steps that are under way the one before still speaks, with bins of its own."""
    probing.use(1, packed(5))
    probing.take(asked(probing), certain(1, 5))
    left = views["a"].remaining
    assert views["a"].probed
    probing.use(2, packed(9))
    under_way = asked(probing)
    probing.take(under_way, certain(1, 5, row=3))
    assert views["a"].remaining == left
    probing.take(under_way, certain(2, 9, row=8))
    assert views["a"].remaining > left


def test_once_there_is_none_it_is_neither_asked_nor_heard(probing, views):
    probing.use(1, packed(5))
    asked(probing)
    probing.use(2, None)
    last = asked(probing)
    assert getattr(last, NEW_PROBE).packed is None
    assert not hasattr(last, WANTED)
    probing.take(last, certain(1, 5))
    assert not views["a"].probed


def test_a_late_word_of_an_earlier_version_is_no_silence(probing, caplog):
    probing.use(1, packed(5))
    for _ in range(40):
        probing.take(asked(probing), certain(0, 5))
    assert not caplog.records
