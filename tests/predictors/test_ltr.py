import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from lengthwise.core import Bins
from lengthwise.errors import UserError
from lengthwise.predictors import find_predictor, ltr
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.ltr import LTR, list_mle, margin_ranking

BINS = Bins.log(8, 200).with_overflow()


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    """What so tiny a backbone, with random weights, needs to learn anything."""
    monkeypatch.setattr(ltr, "RECIPE", replace(ltr.RECIPE, epochs=10, rate=3e-3, head_rate=1e-2))


@pytest.fixture
def learned(ruled):
    def learn(backbone, variant="", seed=0, **how):
        told = Fitting(variant, backbone=backbone, seed=seed, **how)
        return LTR.fit(ruled(200, 0), ruled(60, 1), BINS, told)

    return learn


def tau(predictor, answers):
    return kendalltau(predictor.scores(answers.asked), answers.tokens).statistic


def test_list_mle_is_the_likelihood_of_drawing_the_shortest_first():
    scores, labels = [2.0, -1.0, 0.5], [30, 10, 20]
    weights = np.exp([1.0, -0.5, -2.0])  # shortest first; a smaller score is likelier
    shares = [weights[i] / weights[i:].sum() for i in range(3)]
    found = list_mle(torch.tensor(scores)[:, None], torch.tensor(labels))
    assert float(found) == pytest.approx(-np.log(shares).sum(), rel=1e-5)


def test_over_all_orders_the_likelihoods_add_up_to_one():
    scores = torch.tensor([[0.3], [-2.0], [1.0], [0.0]])
    orders = itertools.permutations(range(4))
    total = sum(float((-list_mle(scores, torch.tensor(each))).exp()) for each in orders)
    assert total == pytest.approx(1.0, rel=1e-5)


def test_equal_labels_come_in_either_order():
    torch.manual_seed(0)
    scores, labels = torch.tensor([[0.0], [2.0]]), torch.tensor([5, 5])
    found = {round(float(list_mle(scores, labels)), 4) for _ in range(30)}
    assert len(found) == 2


@given(st.lists(st.integers(0, 50), min_size=2, max_size=10, unique=True))
def test_the_right_order_loses_least(labels):
    right = torch.tensor(labels).float()[:, None]
    for loss in (list_mle, margin_ranking):
        losses = [float(loss(each, torch.tensor(labels))) for each in (right, -right, 0 * right)]
        assert losses[0] == min(losses)
        assert losses[0] < losses[1]


def test_huge_scores_do_not_overflow():
    scores = torch.tensor([[1e4], [-1e4], [0.0]])
    assert torch.isfinite(list_mle(scores, torch.tensor([3, 1, 2])))


def test_the_margin_is_missed_by_as_much_as_it_is_missed():
    scores, labels = torch.tensor([[0.0], [0.4], [5.0]]), torch.tensor([1, 2, 3])
    assert float(margin_ranking(scores, labels)) == pytest.approx(0.6 / 3)


def test_without_pairs_there_is_nothing_to_rank():
    assert float(margin_ranking(torch.zeros(3, 1), torch.tensor([2, 2, 2]))) == 0.0


@pytest.mark.parametrize("backbone", ["tiny_bert", "tiny_opt"])
def test_a_telling_word_is_found(backbone, learned, ruled, request):
    found = learned(request.getfixturevalue(backbone))
    new = ruled(100, 2)
    assert tau(found, new) > 0.8
    assert np.abs(found.first(new).mean() - new.tokens).mean() < 20


@pytest.mark.parametrize("variant", ["pairwise", "bucket10", "bucket100"])
def test_every_loss_finds_the_word(variant, learned, ruled, tiny_bert):
    # Two buckets of 100 cannot tell eight lengths apart.
    assert tau(learned(tiny_bert, variant), ruled(100, 2)) > (
        0.5 if variant == "bucket100" else 0.8
    )


def test_the_expected_bucket_is_the_score(learned, ruled, tiny_bert):
    found, new = learned(tiny_bert, "bucket10"), ruled(50, 2)
    assert np.abs(found.scores(new.asked) - new.tokens // 10).mean() < 2


def test_answers_in_one_bucket_are_refused(learned, tiny_bert):
    with pytest.raises(UserError, match="ltr:bucket820: all answers fall into one bucket"):
        learned(tiny_bert, "bucket820")


def test_prompts_without_text_are_refused(made_answers, tiny_bert):
    silent = made_answers([""] * 20, range(1, 21))
    with pytest.raises(UserError, match="no text"):
        LTR.fit(silent, silent, BINS, Fitting(backbone=tiny_bert))


def test_zero_epochs_are_refused(learned, tiny_bert):
    with pytest.raises(UserError, match="at least 1 epoch"):
        learned(tiny_bert, epochs=0)


def test_the_same_seed_learns_the_same(learned, ruled, tiny_bert):
    asked = ruled(20, 2).asked
    one, same, other = (learned(tiny_bert, seed=seed, epochs=2).scores(asked) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.parametrize("backbone", ["tiny_bert", "tiny_opt"])
@pytest.mark.parametrize("variant", ["listwise", "bucket10"])
def test_it_comes_back_as_it_was(backbone, variant, learned, ruled, request):
    found = learned(request.getfixturevalue(backbone), variant, epochs=2)
    again = LTR.restore(BINS, *found.state())
    asked = ruled(30, 3).asked
    np.testing.assert_array_equal(again.scores(asked), found.scores(asked))
    np.testing.assert_array_equal(
        again.lengths(asked).probabilities, found.lengths(asked).probabilities
    )


def test_weights_of_another_backbone_do_not_fit(learned, tiny_bert, tiny_opt):
    settings, arrays = learned(tiny_bert, epochs=1).state()
    with pytest.raises((KeyError, ValueError)):
        LTR.restore(BINS, settings | {"backbone": tiny_opt}, arrays)


def test_no_requests_have_no_scores(learned, tiny_bert):
    assert learned(tiny_bert, epochs=1).scores([]).shape == (0,)


def test_it_goes_by_its_name():
    assert find_predictor("ltr:pairwise") == (LTR, Fitting("pairwise"))
    assert find_predictor("ltr")[1].variant == "listwise"
