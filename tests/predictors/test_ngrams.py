import numpy as np
import pytest

from lengthwise.answers.arrays import Answers
from lengthwise.core import Bins
from lengthwise.core.query import Query
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.ngrams import BUCKETS, Ngrams, buckets
from lengthwise.predictors.scored import Curve


@pytest.fixture
def predictor():
    draw = np.random.default_rng(0)
    return Ngrams(
        Bins.log(6, 200),
        Curve(np.arange(6, dtype=np.float32), np.zeros(6, dtype=np.float32)),
        idf=draw.uniform(1, 5, BUCKETS).astype(np.float32),
        weight=draw.normal(size=BUCKETS).astype(np.float32),
        intercept=0.5,
    )


def asked(*prompts):
    return [Query(str(i), ids, "", 10_000) for i, ids in enumerate(prompts)]


def tokens(predictor, *prompts):
    return predictor.lengths(asked(*prompts)).mean()


def test_buckets_are_valid_distinct_and_sorted():
    found = buckets(list(range(0, 50_000, 97)))
    assert found.min() >= 0
    assert found.max() < BUCKETS
    assert (np.diff(found) > 0).all()


def test_buckets_hold_words_and_pairs():
    ids = [10, 20, 30]
    assert len(buckets(ids)) == 5
    assert set(buckets([10])) | set(buckets([20])) <= set(buckets(ids))


def test_the_order_of_words_counts():
    assert set(buckets([10, 20, 30])) != set(buckets([30, 20, 10]))


def test_only_the_first_ids_are_read():
    ids = list(range(3000))
    assert buckets(ids).tolist() == buckets(ids[:1024]).tolist()


def test_the_first_token_id_is_a_word_too():
    assert len(buckets([0])) == 1
    assert buckets([0]) != buckets([1])


def test_hashing_spreads_the_words():
    assert len(np.unique([buckets([i])[0] for i in range(2000)])) > 1800


def test_each_row_is_a_distribution(predictor):
    found = predictor.lengths(asked([1, 2], [3], list(range(2000)))).probabilities
    assert found.shape == (3, 6)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)


def test_a_prompt_is_scored_alike_alone_and_among_others(predictor):
    prompts = [[1, 2, 3], [900], [7, 7, 7, 7]]
    together = tokens(predictor, *prompts)
    alone = np.concatenate([tokens(predictor, prompt) for prompt in prompts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_score_is_the_ridge_on_normalised_tfidf(predictor):
    found = buckets([5, 6, 7])
    vector = np.zeros(BUCKETS)
    vector[found] = predictor.idf[found]
    expected = vector / np.linalg.norm(vector) @ predictor.weight + predictor.intercept
    assert predictor.score([5, 6, 7]) == pytest.approx(expected, rel=1e-4)


def test_a_higher_score_is_a_longer_answer(predictor):
    prompts = sorted(([i, i + 1] for i in range(50)), key=predictor.score)
    found = tokens(predictor, *prompts)
    assert (np.diff(found) >= 0).all()
    assert found[-1] > 2 * found[0]


def test_extreme_scores_do_not_overflow(predictor):
    predictor.intercept = 1e6
    assert tokens(predictor, [1, 2])[0] == pytest.approx(float(predictor.bins.values[-1]))


def test_an_empty_prompt_has_the_average_score(predictor):
    assert predictor.score([]) == pytest.approx(predictor.intercept)


LEARNED = Bins.log(8, 200).with_overflow()
SHORT, LONG = 11, 22


def answered(n, seed, output=None):
    """Prompts whose first word says whether the answer is short or long."""
    draw = np.random.default_rng(seed)
    long = draw.random(n) < 0.5
    prompts = [[LONG if one else SHORT, *draw.integers(100, 400, size=5).tolist()] for one in long]
    lengths = np.where(long, draw.integers(90, 130, n), draw.integers(5, 15, n))
    rows = [({"output_tokens": int(output or each), "censored": False}, {}) for each in lengths]
    return Answers("llama-1x8-0", (1,), 200.0, asked(*prompts), rows)


def learned(answers, bins=LEARNED):
    return Ngrams.fit(answers, answers, bins, Fitting())


@pytest.fixture(scope="module")
def fitted():
    return learned(answered(200, seed=0))


def test_a_telling_word_is_found(fitted):
    new = answered(100, seed=1)
    off = np.abs(fitted.first(new).mean() - new.tokens)
    assert off.mean() < 0.5 * np.abs(new.tokens - np.median(new.tokens)).mean()


def test_the_score_follows_the_rank(fitted):
    new = answered(100, seed=1)
    scores = fitted.scores(new.asked)
    assert scores[new.tokens > 50].mean() > scores[new.tokens < 50].mean() + 0.1
    assert ((scores > 0) & (scores < 1)).all()


def test_bins_that_no_answer_fell_into_stay_empty(fitted):
    empty = np.setdiff1d(np.arange(len(LEARNED)), LEARNED.index(answered(200, seed=0).tokens))
    assert len(empty) > 0
    shares = fitted.lengths(asked([SHORT, 5], [LONG, 6])).probabilities
    assert shares[:, empty].max() < 1e-3


def test_lengths_in_two_bins_are_enough():
    found = learned(answered(100, seed=0), Bins.equal(2, 100))
    shares = found.lengths(asked([SHORT, 5], [LONG, 6])).probabilities
    assert shares[0, 0] > 0.7
    assert shares[1, 1] > 0.7


def test_lengths_in_one_bin_are_enough():
    """A small cap that cuts every answer."""
    found = learned(answered(100, seed=0, output=200))
    assert tokens(found, [SHORT, 5])[0] == pytest.approx(200, rel=0.01)


def test_it_comes_back_as_it_was(fitted):
    again = Ngrams.restore(fitted.bins, *fitted.state())
    new = answered(50, seed=2)
    np.testing.assert_allclose(again.first(new).mean(), fitted.first(new).mean(), rtol=0.02)
