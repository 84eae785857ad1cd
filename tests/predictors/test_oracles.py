import json

import numpy as np
import pytest
from scipy.stats import kendalltau

from lengthwise.core import Bins
from lengthwise.errors import UserError
from lengthwise.predictors import find_predictor
from lengthwise.predictors.base import Fitting, PromptPredictor
from lengthwise.predictors.oracles import AnotherSeed, NoisyOracle, Oracle

BINS = Bins.log(20, 512).with_overflow()


@pytest.fixture
def answers(made_answers):
    tokens = np.random.default_rng(0).integers(1, 513, size=1000)
    return made_answers(["hi"] * 1000, tokens)


def collected(folder, answers, tokens):
    """A folder as lengthwise collect leaves it, without states."""
    folder.mkdir()
    (folder / "meta.json").write_text(json.dumps({"model": answers.model, "layers": [], "cap": 1}))
    rows = [
        {"id": each.id, "prompt_ids": [], "output_tokens": int(total), "censored": False}
        for each, total in zip(answers.asked, tokens, strict=True)
    ]
    (folder / "shard-00000.json").write_text(json.dumps(rows))
    return folder


def test_the_oracle_is_never_wrong(answers):
    oracle = Oracle.fit(answers, answers, BINS, Fitting())
    first = oracle.first(answers)
    np.testing.assert_allclose(first.mean(), answers.tokens)
    np.testing.assert_allclose(first.median(), answers.tokens)
    np.testing.assert_allclose(oracle.remaining(answers).mean(), answers.positions.left)


@pytest.mark.parametrize("sigma", [float(each) for each in NoisyOracle.variants])
def test_the_noise_is_log_normal_around_the_truth(answers, sigma):
    kind, how = find_predictor(f"noisy-oracle:{sigma}")
    said = kind.fit(answers, answers, BINS, how).totals(answers)
    off = np.log(said / answers.tokens)[said > 1]
    assert off.std() == pytest.approx(sigma, rel=0.15)
    assert np.median(off) == pytest.approx(0, abs=0.15 * sigma)


def test_more_noise_orders_worse(answers):
    taus = [
        kendalltau(NoisyOracle(BINS, sigma).first(answers).mean(), answers.tokens).statistic
        for sigma in (0.0, 0.25, 1.0, 2.0)
    ]
    assert taus[0] == pytest.approx(1)
    assert taus == sorted(taus, reverse=True)


def test_a_prompt_has_its_noise_whoever_else_is_asked(answers):
    noisy = NoisyOracle(BINS, 0.5)
    some = np.arange(len(answers)) % 7 == 3
    np.testing.assert_array_equal(noisy.totals(answers.some(some)), noisy.totals(answers)[some])
    assert (NoisyOracle(BINS, 0.5, seed=1).totals(answers) != noisy.totals(answers)).any()


def test_a_guess_that_is_over_expects_the_end(made_answers):
    answers = made_answers(["hi"] * 50, [200] * 50)
    noisy = NoisyOracle(BINS, 1.0)
    said, at = noisy.remaining(answers).mean(), answers.positions
    over = noisy.totals(answers)[at.request] + 1 < at.age
    assert over.any()
    np.testing.assert_allclose(said[over], 1)


def test_another_seed_is_what_the_other_run_has(answers, tmp_path):
    other = np.random.default_rng(1).integers(1, 513, size=len(answers))
    folder = collected(tmp_path / "other", answers, other)
    floor = AnotherSeed.read(BINS, [folder], answers.model)
    np.testing.assert_allclose(floor.first(answers).mean(), other)


def test_a_prompt_that_the_other_run_lacks_is_named(answers, made_answers, tmp_path):
    folder = collected(tmp_path / "other", answers, answers.tokens)
    floor = AnotherSeed.read(BINS, [folder], answers.model)
    new = made_answers(["new"], [5], seed=9)
    with pytest.raises(UserError, match=new.asked[0].id):
        floor.first(new)


def test_another_models_run_is_refused(answers, tmp_path):
    folder = collected(tmp_path / "other", answers, answers.tokens)
    with pytest.raises(UserError, match="not of another"):
        AnotherSeed.read(BINS, [folder], "another")


def test_a_folder_without_a_run_says_how_to_get_one(tmp_path):
    with pytest.raises(UserError, match="lengthwise collect"):
        AnotherSeed.read(BINS, [tmp_path], "made")


def test_one_run_is_not_enough_for_another_seed(answers):
    with pytest.raises(UserError, match="second run"):
        AnotherSeed.fit(answers, answers, BINS, Fitting())


@pytest.mark.parametrize(
    "oracle", [Oracle(BINS), NoisyOracle(BINS, 0.5), AnotherSeed(BINS, {})], ids=lambda it: it.name
)
def test_no_oracle_can_be_served(oracle):
    assert oracle.reads == "truth"
    assert not isinstance(oracle, PromptPredictor)
    for never in (oracle.state, lambda: oracle.restore(BINS, {}, {})):
        with pytest.raises(UserError, match="saved or served") as caught:
            never()
        assert "\n" not in str(caught.value)
