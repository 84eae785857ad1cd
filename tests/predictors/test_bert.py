import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from lengthwise.core import Bins
from lengthwise.predictors import bert, find_predictor
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.bert import Bert
from lengthwise.predictors.trail_fit import likelihood_loss

BINS = Bins.log(8, 200).with_overflow()


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """What so tiny a backbone, with random weights, needs to learn anything."""
    monkeypatch.setattr(bert, "RECIPE", replace(bert.RECIPE, epochs=12, rate=3e-3, head_rate=1e-2))


@pytest.fixture
def learned(ruled):
    def learn(backbone, seed=0, **how):
        told = Fitting(backbone=backbone, seed=seed, **how)
        return Bert.fit(ruled(200, 0), ruled(60, 1), BINS, told)

    return learn


@pytest.mark.parametrize("backbone", ["tiny_bert", "tiny_opt"])
def test_a_telling_word_is_found(backbone, learned, ruled, request):
    found, new = learned(request.getfixturevalue(backbone)), ruled(100, 2)
    # Lengths that share a bin are told apart by chance only.
    assert kendalltau(found.scores(new.asked), new.tokens).statistic > 0.8
    assert np.abs(found.first(new).mean() - new.tokens).mean() < 20


def test_each_row_is_a_distribution(learned, ruled, tiny_bert):
    shares = learned(tiny_bert, epochs=1).first(ruled(30, 2)).probabilities
    assert shares.shape == (30, len(BINS))
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, atol=1e-5)


def test_answers_cut_at_the_cap_only_say_at_least(made_answers, tiny_bert):
    """All mass beyond the cap is right: nothing says how far beyond."""
    cut = made_answers(["word1 word2"] * 60, [200] * 60, cap=200)
    bins = Bins.equal(10, 400)
    found = Bert.fit(cut, cut, bins, Fitting(backbone=tiny_bert)).first(cut)
    assert (found.probabilities[:, :5].sum(axis=1) < 0.05).all()
    assert (found.probabilities[:, 5:].max(axis=1) < 0.9).all()
    np.testing.assert_allclose(found.mean(), 200, rtol=0.05)


def test_the_best_epoch_is_kept(made_answers, ruled, tiny_bert, monkeypatch):
    """What is learned misleads on ``tune``, so the last epoch is not the best one."""
    truth = ruled(200, 1)
    texts = [each.text for each in truth.asked]
    lie = made_answers(texts, (225 - truth.tokens).tolist(), cap=201)
    seen = []

    def spy(*given):
        loss = likelihood_loss(*given)
        if torch.is_inference_mode_enabled():
            seen.append(float(loss))
        return loss

    monkeypatch.setattr(bert, "likelihood_loss", spy)
    found = Bert.fit(lie, truth, BINS, Fitting(backbone=tiny_bert)).first(truth).probabilities
    bin_, cut = torch.from_numpy(BINS.index(truth.tokens)), torch.from_numpy(truth.censored)
    kept = float(likelihood_loss(torch.from_numpy(found).log(), bin_, cut))
    assert kept == pytest.approx(min(seen), abs=0.01)
    assert seen[-1] > min(seen) + 0.1


def test_the_same_seed_learns_the_same(learned, ruled, tiny_bert):
    asked = ruled(20, 2).asked
    one, same, other = (learned(tiny_bert, seed, epochs=2).scores(asked) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


def test_it_comes_back_as_it_was(learned, ruled, tiny_bert):
    found = learned(tiny_bert, epochs=2)
    again = Bert.restore(BINS, *found.state())
    asked = ruled(30, 3).asked
    np.testing.assert_array_equal(again.scores(asked), found.scores(asked))


def test_weights_are_rounded_to_half_precision_but_for_vectors(learned, tiny_bert):
    settings, arrays = learned(tiny_bert, epochs=1).state()
    assert settings == {"backbone": tiny_bert}
    assert {each.dtype for each in arrays.values() if each.ndim > 1} == {np.dtype(np.float16)}
    assert {each.dtype for each in arrays.values() if each.ndim == 1} == {np.dtype(np.float32)}


def test_the_default_backbone_learns_too(ruled):
    found = Bert.fit(ruled(16, 0), ruled(8, 1), BINS, Fitting(epochs=1))
    assert found.state()[0] == {"backbone": None}
    assert np.isfinite(found.scores(ruled(4, 2).asked)).all()


def test_it_goes_by_its_name():
    assert find_predictor("bert") == (Bert, Fitting())


def test_naming_predictors_does_not_import_transformers():
    code = "import sys, lengthwise.predictors; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
