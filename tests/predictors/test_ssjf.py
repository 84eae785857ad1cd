from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from lengthwise.core import Bins
from lengthwise.errors import UserError
from lengthwise.predictors import find_predictor, neural, ssjf
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.ssjf import SSJF

BINS = Bins.log(8, 200).with_overflow()


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """What so tiny a backbone, with random weights, needs to learn anything."""
    recipe = replace(ssjf.RECIPE, epochs=12, rate=3e-3, head_rate=3e-3, frozen_after=6)
    monkeypatch.setattr(ssjf, "RECIPE", recipe)


@pytest.fixture
def learned(ruled):
    def learn(backbone, variant="", seed=0, **how):
        told = Fitting(variant, backbone=backbone, seed=seed, **how)
        return SSJF.fit(ruled(200, 0), ruled(60, 1), BINS, told)

    return learn


def tau(predictor, answers):
    return kendalltau(predictor.scores(answers.asked), answers.tokens).statistic


@pytest.mark.parametrize("backbone", ["tiny_bert", "tiny_opt"])
def test_a_telling_word_is_found(backbone, learned, ruled, request):
    found, new = learned(request.getfixturevalue(backbone)), ruled(100, 2)
    assert tau(found, new) > 0.8
    assert np.abs(found.scores(new.asked) - new.tokens).mean() < 20, "its scores are tokens"
    assert np.abs(found.first(new).mean() - new.tokens).mean() < 20


@pytest.mark.parametrize("variant", ["mse", "5class", "ordinal"])
def test_every_variant_finds_the_word(variant, learned, ruled, tiny_bert):
    # Four classes cannot tell eight lengths apart.
    assert tau(learned(tiny_bert, variant), ruled(100, 2)) > (0.8 if variant == "mse" else 0.7)


def test_an_ordinal_score_is_a_class_and_a_five_class_score_is_in_tokens(learned, ruled, tiny_bert):
    asked = ruled(50, 2).asked
    assert learned(tiny_bert, "ordinal").scores(asked).max() < 5
    assert 100 < learned(tiny_bert, "5class").scores(asked).max() <= 200


def test_the_classes_end_at_the_percentiles():
    tokens = np.arange(100, 200)
    classes, _, means = ssjf._targets("5class", tokens, tokens[:3])
    assert np.bincount(classes.numpy()).tolist() == [24, 25, 25, 24, 2]
    assert means.tolist() == [tokens[classes.numpy() == i].mean() for i in range(5)]


def test_where_many_answers_hit_the_cap_no_class_is_empty():
    tokens = np.array([1, 1, 1, 2, 3, 512, 512, 512, 512, 512])
    classes, _, means = ssjf._targets("5class", tokens, tokens)
    assert (np.bincount(classes.numpy()) > 0).all()
    assert np.isfinite(means).all()
    assert (np.diff(means) > 0).all()


def test_answers_all_alike_have_no_classes():
    same = np.full(10, 512)
    for variant in ("5class", "ordinal"):
        with pytest.raises(UserError, match="collect with a larger cap"):
            ssjf._targets(variant, same, same)


def test_the_backbone_is_frozen_after_its_epochs(learned, tiny_bert, monkeypatch):
    def weights(reader):
        return reader.backbone.body.embeddings.word_embeddings.weight.detach().clone()

    seen = []
    head = neural.Reader.forward

    def forward(self, ids):
        if not self.training:
            seen.append((weights(self), self.head[0].weight.detach().clone()))
        return head(self, ids)

    monkeypatch.setattr(neural.Reader, "forward", forward)
    monkeypatch.setattr(ssjf, "RECIPE", replace(ssjf.RECIPE, frozen_after=2))
    learned(tiny_bert, epochs=4)
    moved = [
        [not torch.equal(a, b) for a, b in zip(*seen[i : i + 2], strict=True)] for i in (0, 1, 2)
    ]
    assert moved == [[True, True], [False, True], [False, True]]


def test_the_same_seed_learns_the_same(learned, ruled, tiny_bert):
    asked = ruled(20, 2).asked
    one, same, other = (learned(tiny_bert, seed=seed, epochs=2).scores(asked) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("variant", ["l1", "5class"])
def test_it_comes_back_as_it_was(variant, learned, ruled, tiny_bert):
    found = learned(tiny_bert, variant, epochs=2)
    again = SSJF.restore(BINS, *found.state())
    asked = ruled(30, 3).asked
    np.testing.assert_array_equal(again.scores(asked), found.scores(asked))
    assert again.variant == variant


def test_it_goes_by_its_name():
    assert find_predictor("ssjf:mse") == (SSJF, Fitting("mse"))
    assert find_predictor("ssjf")[1].variant == "l1"


def test_it_is_frozen_without_a_progress_bar_too(learned, tiny_bert, monkeypatch):
    monkeypatch.setattr(neural, "tqdm", partial(neural.tqdm, disable=True))
    frozen = []
    requires_grad = torch.nn.Module.requires_grad_
    monkeypatch.setattr(
        torch.nn.Module,
        "requires_grad_",
        lambda self, wanted=True: frozen.append(wanted) or requires_grad(self, wanted),
    )
    learned(tiny_bert, epochs=8)
    assert frozen == [False]
