import dataclasses

import numpy as np
import pytest

from lengthwise.core import Bins
from lengthwise.predictors.prompt import BUCKETS, PromptPredictor, buckets


@pytest.fixture
def predictor():
    draw = np.random.default_rng(0)
    return PromptPredictor(
        Bins.log(6, 200),
        idf=draw.uniform(1, 5, BUCKETS).astype(np.float32),
        weight=draw.normal(size=BUCKETS).astype(np.float32),
        intercept=0.5,
        slope=np.arange(6, dtype=np.float32),
        offset=np.zeros(6, dtype=np.float32),
    )


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
    found = predictor.probabilities([[1, 2], [3], list(range(2000))])
    assert found.shape == (3, 6)
    assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-5)


def test_a_prompt_is_scored_alike_alone_and_among_others(predictor):
    prompts = [[1, 2, 3], [900], [7, 7, 7, 7]]
    together = predictor.probabilities(prompts)
    alone = np.concatenate([predictor.probabilities([prompt]) for prompt in prompts])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_predict_is_the_mean_of_the_bins(predictor):
    probabilities = predictor.probabilities([[5, 6]])
    assert predictor.predict([5, 6]) == pytest.approx(float(predictor.bins.mean(probabilities)[0]))


def test_the_score_is_the_ridge_on_normalised_tfidf(predictor):
    found = buckets([5, 6, 7])
    vector = np.zeros(BUCKETS)
    vector[found] = predictor.idf[found]
    expected = vector / np.linalg.norm(vector) @ predictor.weight + predictor.intercept
    assert predictor.score([5, 6, 7]) == pytest.approx(expected, rel=1e-4)


def test_a_higher_score_is_a_longer_answer(predictor):
    prompts = sorted(([i, i + 1] for i in range(50)), key=predictor.score)
    tokens = [predictor.predict(prompt) for prompt in prompts]
    assert tokens == sorted(tokens)
    assert tokens[-1] > 2 * tokens[0]


def test_extreme_scores_do_not_overflow(predictor):
    far = dataclasses.replace(predictor, intercept=1e6)
    assert far.predict([1, 2]) == pytest.approx(float(predictor.bins.values[-1]))


def test_an_empty_prompt_has_the_average_score(predictor):
    assert predictor.score([]) == pytest.approx(predictor.intercept)
