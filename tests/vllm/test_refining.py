from types import SimpleNamespace

import numpy as np
import pytest
import torch

from lengthwise.core import Bins
from lengthwise.predictors.probe import Probe
from lengthwise.vllm.observing import Observation
from lengthwise.vllm.refining import ATTRIBUTE, Refining

D = 4


@pytest.fixture
def probe():
    torch.manual_seed(0)
    probe = Probe(1, D, Bins.equal(5, 50), hidden=16).eval()
    probe.outlook.normal_()
    return probe


def observation(ages, seed=0):
    """Requests by name with the age each is at."""
    made = torch.Generator().manual_seed(seed)
    n = len(ages)
    return Observation(
        list(ages),
        np.array(list(ages.values()), dtype=np.int64),
        np.full(n, 10, dtype=np.int64),
        torch.tensor([list(ages.values()), [10] * n]),
        torch.randn(n, 1, D, generator=made),
        torch.randn(n, 1, D, generator=made),
        torch.randn(n, 1, D, generator=made),
    )


def step(refining, seen):
    with torch.inference_mode():
        refining.observe(seen)
        return getattr(refining.output(SimpleNamespace()), ATTRIBUTE)


@torch.inference_mode()
def evidence(probe, seen):
    features = probe.features(
        seen.current[:, 0],
        seen.prompt_mean[:, 0],
        seen.prompt_end[:, 0],
        torch.from_numpy(seen.generated),
        torch.from_numpy(seen.prompt_tokens),
    )
    return probe(features).softmax(dim=1).numpy()


def test_the_first_prediction_is_the_probes_own(probe):
    seen = observation({"a": 0, "b": 7})
    found = step(Refining(probe), seen)
    assert found.ids == ["a", "b"]
    assert found.generated.tolist() == [0, 7]
    np.testing.assert_allclose(found.probabilities, evidence(probe, seen), atol=1e-6)


def test_each_request_moves_by_its_own_tokens(probe):
    refining, refiner = Refining(probe), probe.refiner()
    before = step(refining, observation({"a": 0, "b": 3})).probabilities
    seen = observation({"b": 10, "new": 2, "a": 1}, seed=1)
    found, new = step(refining, seen).probabilities, evidence(probe, seen)
    expected_b = refiner.update(refiner.shift(before[[1]], 7), new[[0]])
    expected_a = refiner.update(refiner.shift(before[[0]], 1), new[[2]])
    np.testing.assert_allclose(found, np.vstack([expected_b, new[[1]], expected_a]), atol=1e-6)
    assert np.abs(found[0] - new[0]).max() > 0.01


def test_a_request_that_sat_out_a_step_keeps_its_belief(probe):
    ages = [{"a": 0, "b": 0}, {"b": 1}, {"a": 1, "b": 2}]
    both = Refining(probe)
    for i, age in enumerate(ages):
        last = step(both, observation(age, seed=i))
    alone = Refining(probe)
    first, third = observation(ages[0]), observation(ages[2], seed=2)
    step(alone, first)
    expected = step(alone, third)
    np.testing.assert_allclose(last.probabilities[0], expected.probabilities[0], atol=1e-6)


def test_again_after_so_many_tokens_only(probe):
    """Counted from a request's last prediction, whenever that was asked for."""
    refining = Refining(probe, interval=4)
    assert step(refining, observation({"a": 0, "b": 3})).ids == ["a", "b"]
    nobody = step(refining, observation({"a": 3, "b": 4}, seed=1))
    assert (nobody.ids, nobody.probabilities.shape) == ([], (0, 5))
    seen = observation({"c": 9, "b": 8}, seed=2)
    assert step(refining, seen).ids == ["c", "b"]
    seen = observation({"c": 12, "b": 12}, seed=2)
    found = step(refining, seen)
    assert found.ids == ["b"]


@pytest.mark.parametrize("refinement", [{}, {"keep": 0.9}])
def test_the_interval_is_bridged_in_one_move(probe, refinement):
    probe.refinement = refinement
    refining, refiner = Refining(probe, interval=4), probe.refiner()
    before = step(refining, observation({"a": 0})).probabilities
    for age in (1, 2, 3):
        step(refining, observation({"a": age}, seed=age))
    seen = observation({"a": 4}, seed=9)
    expected = refiner.update(refiner.shift(before, 4), evidence(probe, seen), 4)
    np.testing.assert_allclose(step(refining, seen).probabilities, expected, atol=1e-6)


def test_a_forgotten_request_starts_anew(probe):
    refining = Refining(probe)
    step(refining, observation({"a": 0}))
    refining.forget("a")
    refining.forget("never seen")
    seen = observation({"a": 1}, seed=1)
    np.testing.assert_allclose(step(refining, seen).probabilities, evidence(probe, seen), atol=1e-6)


def test_without_an_observation_the_output_is_left_alone(probe):
    refining, output = Refining(probe), SimpleNamespace()
    assert refining.output(output) is output
    assert not hasattr(output, ATTRIBUTE)
    assert refining.output(None) is None


def test_predictions_are_attached_once(probe):
    refining = Refining(probe)
    step(refining, observation({"a": 0}))
    assert not hasattr(refining.output(SimpleNamespace()), ATTRIBUTE)


class AsyncOutput:
    """An output that vLLM fetches later."""

    sampled = "kept"

    def get_output(self):
        return SimpleNamespace()


def test_an_asynchronous_output_gets_them_when_fetched(probe):
    refining, seen = Refining(probe), observation({"a": 0})
    with torch.inference_mode():
        refining.observe(seen)
    late = refining.output(AsyncOutput())
    assert late.sampled == "kept"
    found = getattr(late.get_output(), ATTRIBUTE)
    np.testing.assert_allclose(found.probabilities, evidence(probe, seen), atol=1e-6)


def test_the_refinement_is_the_one_the_probe_was_tuned_with(probe):
    plain = Refining(probe)
    step(plain, observation({"a": 0}))
    one = step(plain, observation({"a": 1}, seed=1)).probabilities
    probe.refinement = {"alpha": 0.2, "prior": [0.6, 0.1, 0.1, 0.1, 0.1]}
    tuned = Refining(probe)
    step(tuned, observation({"a": 0}))
    other = step(tuned, observation({"a": 1}, seed=1)).probabilities
    assert np.abs(one - other).max() > 0.01
