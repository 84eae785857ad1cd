import numpy as np
import pytest
from scipy.stats import kendalltau

from lengthwise.answers.arrays import Answers
from lengthwise.errors import UserError
from lengthwise.evaluate.noise import noise_floor, noise_floors
from lengthwise.workload.prompts import held_out


@pytest.fixture(scope="module")
def samples(collected, tmp_path_factory):
    root = tmp_path_factory.mktemp("samples")
    return [collected(root / str(seed), seed=seed, temperature=1.0) for seed in (1, 2, 3)]


def test_the_floor_is_how_far_two_samples_lie_apart(answers, samples):
    one, other = (Answers.read([folder]) for folder in samples[:2])
    held = np.array([held_out(each.id) for each in one.asked])
    prompts, floor = noise_floor(answers, samples[:2], 50, 0)
    assert prompts == held.sum()
    apart = np.abs(one.tokens - other.tokens)[held].mean()
    assert floor["arrival"]["mae"][0] == pytest.approx(apart)
    tau = kendalltau(one.tokens[held], other.tokens[held]).statistic
    assert floor["arrival"]["tau"][0] == pytest.approx(tau, abs=1e-5)
    assert floor["remaining"]["mae"][0] > 0


def test_several_seeds_are_averaged(answers, samples):
    first, second, both = (
        noise_floor(answers, [samples[0], *others], 20, 0)[1]["arrival"]["mae"]
        for others in (samples[1:2], samples[2:], samples[1:])
    )
    assert np.allclose(both, (first + second) / 2)


def test_only_shared_prompts_count(answers, samples, collected, tmp_path):
    fewer = collected(tmp_path / "fewer", n=80, seed=9, temperature=1.0)
    prompts, _ = noise_floor(answers, [samples[0], fewer], 20, 0)
    assert prompts == sum(held_out(f"some:{i}") for i in range(80))


def test_what_are_not_samples_of_the_same_is_said(answers, samples, collected, tmp_path):
    def refused(*folders):
        with pytest.raises(UserError) as error:
            noise_floor(answers, folders, 20, 0)
        return str(error.value)

    assert "two folders of each" in refused(samples[0])
    assert "no collected data" in refused(samples[0], tmp_path)
    assert "differ in temperature" in refused(samples[0], collected(tmp_path / "cold"))
    other = collected(tmp_path / "other", name="other", temperature=1.0)
    assert "share no held-out prompts" in refused(samples[0], other)


def test_each_temperature_has_its_floor(answers, samples, collected, tmp_path):
    cool = [collected(tmp_path / str(seed), seed=seed, temperature=0.5) for seed in (4, 5)]
    floors = noise_floors(answers, [samples[0], *cool, samples[1]], 20, 0)
    assert list(floors) == [0.5, 1.0]
    alone = noise_floor(answers, samples[:2], 20, 0)[1]["arrival"]["mae"]
    assert np.array_equal(floors[1.0][1]["arrival"]["mae"], alone)
