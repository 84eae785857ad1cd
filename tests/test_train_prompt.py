import numpy as np
import pytest

from lengthwise.core import Bins
from lengthwise.train_prompt import fit_prompt_predictor

BINS = Bins.log(8, 200).with_overflow()
SHORT, LONG = 11, 22


def answered(n, seed):
    """Prompts whose first word says whether the answer is short or long."""
    draw = np.random.default_rng(seed)
    long = draw.random(n) < 0.5
    prompts = [[LONG if one else SHORT, *draw.integers(100, 400, size=5).tolist()] for one in long]
    return prompts, np.where(long, draw.integers(90, 130, n), draw.integers(5, 15, n))


@pytest.fixture(scope="module")
def predictor():
    return fit_prompt_predictor(*answered(200, seed=0), BINS)


def test_a_telling_word_is_found(predictor):
    prompts, tokens = answered(100, seed=1)
    off = np.abs([predictor.predict(prompt) for prompt in prompts] - tokens)
    assert off.mean() < 0.5 * np.abs(tokens - np.median(tokens)).mean()


def test_the_score_follows_the_rank(predictor):
    prompts, tokens = answered(100, seed=1)
    scores = np.array([predictor.score(prompt) for prompt in prompts])
    assert scores[tokens > 50].mean() > scores[tokens < 50].mean() + 0.1
    assert ((scores > 0) & (scores < 1)).all()


def test_bins_that_no_answer_fell_into_stay_empty(predictor):
    _, tokens = answered(200, seed=0)
    empty = np.setdiff1d(np.arange(len(BINS)), BINS.index(tokens))
    assert len(empty) > 0
    assert predictor.probabilities([[SHORT, 5], [LONG, 6]])[:, empty].max() < 1e-3


def test_lengths_in_two_bins_are_enough():
    prompts, tokens = answered(100, seed=0)
    found = fit_prompt_predictor(prompts, tokens, Bins.equal(2, 100))
    shares = found.probabilities([[SHORT, 5], [LONG, 6]])
    assert shares[0, 0] > 0.7
    assert shares[1, 1] > 0.7


def test_lengths_in_one_bin_are_enough():
    """A small cap that cuts every answer."""
    prompts, tokens = answered(100, seed=0)
    found = fit_prompt_predictor(prompts, np.full_like(tokens, 200), BINS)
    assert found.predict([SHORT, 5]) == pytest.approx(200, rel=0.01)
