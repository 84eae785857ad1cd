from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import kendalltau

from lengthwise.core import Bins
from lengthwise.core.query import Query
from lengthwise.predictors import find_predictor
from lengthwise.predictors.backbone import load_backbone
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.magnus import VARIANTS, Magnus, mispredicted, relearn
from lengthwise.predictors.magnus_inputs import SIZES, Inputs, input_tokens, parts, projection

BINS = Bins.log(20, 512).with_overflow()
TYPICAL = {"Translate this:": 1.0, "Sum up:": 0.2, "Go on:": 4.0}
MOODS = {"briefly": 0.5, "fully": 2.0}


@pytest.fixture(scope="module")
def encoder():
    """The real encoder, which remembers what it encoded: many tests ask about the same."""
    backbone, known = load_backbone(None), {}

    def encode(texts, longest=128):
        new = [text for text in dict.fromkeys(texts) if text not in known]
        if new:
            known.update(zip(new, backbone.encode(new, longest), strict=True))
        return np.stack([known[text] for text in texts])

    return SimpleNamespace(encode=encode)


@pytest.fixture(autouse=True)
def remembered(encoder, monkeypatch):
    monkeypatch.setattr("lengthwise.predictors.backbone.load_backbone", lambda name: encoder)


@pytest.fixture
def served(made_answers):
    """Applications whose answers grow with the input, and with a word in it."""

    def make(n=250, seed=0, factor=1.0, noise=0.0):
        draw = np.random.default_rng(seed)
        texts, tokens = [], []
        for _ in range(n):
            instruction, mood = draw.choice(sorted(TYPICAL)), draw.choice(sorted(MOODS))
            words = int(draw.integers(5, 60))
            texts.append(f"{instruction}\n\n{mood}{' word' * words}")
            expected = factor * words * TYPICAL[instruction] * MOODS[mood]
            expected *= np.exp(noise * draw.normal())
            tokens.append(int(np.clip(expected, 1, 512)))
        return made_answers(texts, tokens, seed=seed)

    return make


def fitted(answers, variant="", seed=0):
    kind, how = find_predictor("magnus", Fitting(seed=seed))
    assert kind is Magnus
    return Magnus.fit(answers, answers, BINS, Fitting(variant, seed=how.seed))


def error(predictor, answers):
    return float(np.abs(predictor.scores(answers.asked) - answers.tokens).mean())


def test_instruction_and_input_are_apart():
    assert parts("Sum up:\n\na\n\nb") == {"instruction": "Sum up:", "input": "a\n\nb"}
    assert parts("hello") == {"instruction": "hello", "input": "hello"}


def test_the_input_has_its_share_of_the_tokens():
    asked = [Query("0", [1] * 12, "ab\n\nabcdefgh", 9), Query("1", [1] * 5, "", 9)]
    assert input_tokens(asked).tolist() == [8, 0]


def test_groups_are_means_of_neighbours():
    embeddings = np.arange(10, dtype=np.float32)[None]
    np.testing.assert_allclose(
        embeddings @ projection(embeddings, 5, "groups"), [[0.5, 2.5, 4.5, 6.5, 8.5]]
    )


def test_groups_of_unlike_size_lose_nothing():
    matrix = projection(np.zeros((1, 10), np.float32), 4, "groups")
    np.testing.assert_allclose(matrix.sum(axis=0), 1, rtol=1e-6)
    assert (matrix > 0).any(axis=1).all()


def test_components_keep_what_varies():
    draw = np.random.default_rng(0)
    embeddings = draw.normal(size=(200, 8)).astype(np.float32) * np.array([9, 1, 1, 1, 1, 1, 1, 1])
    first = projection(embeddings.astype(np.float32), 2, "pca")[:, 0]
    assert abs(first[0]) > 0.95


def test_few_prompts_have_few_components():
    embeddings = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    assert projection(embeddings, 4, "pca").shape == (8, 3)


@pytest.mark.parametrize("variant", ["", "groups"])
def test_it_learns_application_mood_and_length(served, variant):
    fresh = served(n=150, seed=1)
    said = fitted(served(), variant).first(fresh)
    assert kendalltau(said.mean(), fresh.tokens).statistic > 0.8


def test_each_input_of_the_forest_is_worth_something(served):
    known, fresh = served(), served(n=150, seed=1)
    errors = [error(fitted(known, each), fresh) for each in ("", "instruction", "length")]
    assert errors[0] < 0.8 * errors[1]
    assert errors[1] < 0.9 * errors[2]


def test_the_inputs_length_alone_is_taken_at_its_word(served):
    fresh = served(n=50, seed=1)
    predictor = fitted(served(n=10), "input-length")
    np.testing.assert_allclose(predictor.first(fresh).mean(), input_tokens(fresh.asked), rtol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_distributions_add_up_to_one(served, variant):
    said = fitted(served(n=60), variant).first(served(n=30, seed=1))
    np.testing.assert_allclose(said.probabilities.sum(axis=1), 1.0, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_is_saved_comes_back(served, variant):
    predictor, fresh = fitted(served(n=100), variant), served(n=30, seed=1)
    again = Magnus.restore(BINS, *predictor.state())
    np.testing.assert_array_equal(again.scores(fresh.asked), predictor.scores(fresh.asked))
    np.testing.assert_array_equal(again.first(fresh).mean(), predictor.first(fresh).mean())


def test_nothing_asked_is_nothing_said(served):
    assert len(fitted(served(n=60)).lengths([])) == 0


def test_a_text_is_encoded_once_however_many_share_it(encoder, monkeypatch, made_answers):
    seen = []
    monkeypatch.setattr(encoder, "encode", lambda texts: seen.extend(texts) or np.eye(len(texts)))
    Inputs(None, {}).fit(
        made_answers(["Go on:\n\na", "Go on:\n\nb", "c"], [1, 2, 3]).asked, tuple(SIZES), "groups"
    )
    assert sorted(seen) == ["Go on:", "a", "b", "c"]


def test_a_seed_gives_the_same_forest(served):
    known, fresh = served(n=100), served(n=30, seed=1)
    one, same, other = (fitted(known, seed=seed).scores(fresh.asked) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_a_forest_without_its_projections_is_refused(served):
    settings, arrays = fitted(served(n=60)).state()
    del arrays["projection.input"]
    with pytest.raises(ValueError, match="reads more"):
        Magnus.restore(BINS, settings, arrays)


def test_distributions_are_as_wide_as_the_errors(served):
    """Four fifths of new answers lie in the middle four fifths of what was said."""
    fresh = served(n=300, seed=1, noise=0.7)
    said = fitted(served(noise=0.7)).first(fresh)
    low, high = said.quantile(0.1), said.quantile(0.9)
    free = fresh.tokens < 512
    inside = (low <= fresh.tokens) & (fresh.tokens <= high)
    assert 0.7 < inside[free].mean() < 0.95


def test_missed_is_by_more_than_ten_tokens_and_ten_per_cent():
    said = np.array([100.0, 111.0, 89.0, 20.0, 340.0])
    tokens = np.array([100, 100, 100, 12, 310])
    assert mispredicted(said, tokens).tolist() == [False, True, True, False, False]


def test_it_relearns_what_has_changed(served):
    known, finished, fresh = served(), served(n=200, seed=1, factor=0.3), served(150, 2, 0.3)
    before = fitted(known)
    after, learned = relearn(before, known, finished, Fitting())
    assert error(after, fresh) < 0.7 * error(before, fresh)
    assert len(known) < len(learned) < len(known) + len(finished)


def test_it_stays_as_it_is_if_nothing_was_missed(served):
    known = served(n=50)
    before = fitted(known)
    good = ~mispredicted(before.scores(known.asked), known.tokens)
    after, learned = relearn(before, known, known.some(good), Fitting())
    assert after is before
    assert learned is known
