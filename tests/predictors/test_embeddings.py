import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LinearRegression

from lengthwise.core import Bins
from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.models.token_embeddings import token_embeddings
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.embeddings import OPENING, Embeddings, Reading

BINS = Bins.log(8, 200).with_overflow()
VOCABULARY, WIDTH = 1000, 8
HEAD = [1, 2, 3]
"""A chat template's beginning."""

SHORT, LONG = np.arange(100, 500), np.arange(500, 900)
"""Two families of words: those of a family have like embeddings."""


@pytest.fixture(scope="module")
def table():
    draw = np.random.default_rng(0)
    found = draw.normal(size=(VOCABULARY, WIDTH)).astype(np.float32)
    found[SHORT, 0] -= 3
    found[LONG, 0] += 3
    return found


@pytest.fixture(scope="module")
def model(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_file({"model.embed_tokens.weight": torch.tensor(table)}, folder / "model.safetensors")
    return str(folder)


def prompts_of(family, n, draw):
    words = draw.choice(family, size=(n, 2), replace=True)
    fillers = draw.integers(900, 1000, size=(n, 6))
    return [[*HEAD, *row] for row in np.hstack([words, fillers]).tolist()]


@pytest.fixture(scope="module")
def answered(made_answers):
    """Answers to prompts that begin with words of either family, from a part of it."""

    def make(part, seed, n=60):
        draw = np.random.default_rng(seed)
        prompts = [*prompts_of(SHORT[part], n, draw), *prompts_of(LONG[part], n, draw)]
        tokens = [*draw.integers(5, 15, n), *draw.integers(90, 130, n)]
        return made_answers([""] * 2 * n, tokens, prompts, cap=200, seed=seed)

    return make


@pytest.fixture(scope="module")
def fitted(answered, model):
    learned = answered(slice(0, 200), 0)
    return Embeddings.fit(learned, learned, BINS, Fitting(model=model))


def test_words_never_seen_are_understood_by_their_likes(fitted, answered):
    new = answered(slice(200, 400), 1)
    off = np.abs(fitted.first(new).mean() - new.tokens)
    assert off.mean() < 0.5 * np.abs(new.tokens - np.median(new.tokens)).mean()


def test_the_tables_stand_for_slopes_on_mean_embeddings(fitted, answered, model):
    """Serving looks two numbers a token up; scikit-learn multiplies means by slopes."""
    learned = answered(slice(0, 200), 0)
    table = token_embeddings(model)
    found = []
    for each in learned.asked:
        parts = fitted.reading.parts(each.prompt_ids)
        found.append(np.concatenate([weights @ table[ids] for ids, weights in parts]))
    looked_up = [
        sum(float(w @ worth[ids]) for (ids, w), worth in zip(parts, fitted.worth, strict=True))
        for parts in (fitted.reading.parts(each.prompt_ids) for each in learned.asked)
    ]
    left = LinearRegression().fit(np.array(found), looked_up)
    assert left.score(np.array(found), looked_up) == pytest.approx(1, abs=1e-4)


def test_what_every_prompt_has_weighs_nothing():
    reading = Reading.of([[1, 2, 7, 8], [1, 2, 9], [1, 2, 8, 9]], 10)
    assert reading.head == 2
    assert reading.rarity[[1, 2]].tolist() == [0, 0]
    assert reading.rarity[7] > reading.rarity[8] > 0


def test_the_opening_comes_after_the_template():
    reading = Reading.of([[1, 2, *range(3, 13)], [1, 2, *range(20, 30)]], 40)
    (_, whole), (opening, weights) = reading.parts([1, 2, *range(20, 40)])
    assert opening.tolist() == list(range(20, 20 + OPENING))
    assert weights.sum() == pytest.approx(1)
    assert np.linalg.norm(whole) == pytest.approx(1)


def test_an_empty_prompt_has_a_score(fitted):
    assert np.isfinite(fitted.score([]))


def test_it_comes_back_as_it_was(fitted, answered):
    new = answered(slice(0, 400), 2)
    again = Embeddings.restore(fitted.bins, *fitted.state())
    np.testing.assert_allclose(again.first(new).mean(), fitted.first(new).mean(), rtol=0.02)


def test_tables_of_another_size_are_refused(fitted):
    settings, arrays = fitted.state()
    with pytest.raises(ValueError, match="two rows"):
        Embeddings.restore(BINS, settings, arrays | {"worth": arrays["worth"][:, 1:]})


def test_without_the_served_model_it_says_so(answered):
    learned = answered(slice(0, 200), 0)
    with pytest.raises(UserError, match="--model"):
        Embeddings.fit(learned, learned, BINS, Fitting())


def test_ids_beyond_the_vocabulary_count_for_nothing(fitted):
    """Placeholders of images are such."""
    assert np.isfinite(fitted.score([*HEAD, 10 * VOCABULARY]))


def test_a_request_is_scored_alike_alone_and_among_others(fitted):
    asked = [Query(str(i), [*HEAD, 100 + i, 600 + i], "", 200) for i in range(5)]
    together = fitted.scores(asked)
    alone = [fitted.scores([each])[0] for each in asked]
    np.testing.assert_allclose(together, alone, rtol=1e-6)
