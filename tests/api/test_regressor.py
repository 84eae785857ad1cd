"""Length predictors with scikit-learn's manners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score

import lengthwise as lw

SHORT, LONG = "say yes or no about {}", "write a long story about {}"


def data(n: int = 60) -> tuple[list[str], list[int]]:
    """Two kinds of prompts: about 5 and about 200 tokens."""
    prompts = [(LONG if i % 2 else SHORT).format(f"thing{i}") for i in range(n)]
    return prompts, [190 + i % 20 if i % 2 else 4 + i % 3 for i in range(n)]


@pytest.fixture(scope="module")
def fitted() -> lw.LengthRegressor:
    return lw.LengthRegressor().fit(*data())


def test_it_learns_which_prompts_get_long_answers(fitted: lw.LengthRegressor) -> None:
    short, long = fitted.predict([SHORT.format("cats"), LONG.format("cats")])
    assert short < 40
    assert long > 120
    assert fitted.score(*data()) > 0.8
    low, high = (fitted.predict_quantile([LONG.format("x")], level)[0] for level in (0.1, 0.9))
    assert low <= high <= fitted.max_tokens_ == 209


def test_token_ids_do_as_well_as_texts() -> None:
    _, lengths = data()
    ids = [[7, 8, 100 + i] if i % 2 else [1, 2, 100 + i] for i in range(len(lengths))]
    found = lw.LengthRegressor("ngrams").fit(ids, lengths)
    short, long = found.predict(np.array([[1, 2, 999], [7, 8, 999]]))
    assert short < 40 < 120 < long


def test_parameters_are_scikit_learns() -> None:
    made = lw.LengthRegressor("prompt-length", max_tokens=64, seed=3)
    assert clone(made).get_params() == made.get_params()
    assert made.set_params(name="ngrams").name == "ngrams"
    with pytest.raises(NotFittedError):
        made.predict(["x"])


def test_it_goes_into_scikit_learns_tools() -> None:
    scores = cross_val_score(lw.LengthRegressor(), *data(), cv=3)
    assert scores.min() > 0.7
    search = GridSearchCV(lw.LengthRegressor(), {"name": ["constant", "ngrams"]}, cv=2)
    assert search.fit(*data()).best_params_ == {"name": "ngrams"}


@pytest.mark.parametrize("name", ["ngrams", "constant", "prompt-length:signed", "max-tokens"])
def test_what_is_saved_predicts_the_same(name: str, tmp_path: Path) -> None:
    made = lw.LengthRegressor(name).fit(*data())
    made.save(tmp_path / "mine")
    again = lw.load_predictor(tmp_path / "mine")
    prompts = [SHORT.format("cats"), LONG.format("cats")]
    assert again.name == name
    assert again.predict(prompts) == pytest.approx(made.predict(prompts), rel=0.02)
    again.save(tmp_path / "again")
    assert lw.load_predictor(tmp_path / "again").predict(prompts) == pytest.approx(
        again.predict(prompts), rel=0.02
    )


def test_answers_cut_at_max_tokens_are_not_taken_for_whole() -> None:
    prompts, lengths = data()
    cut = lw.LengthRegressor("constant", max_tokens=100).fit(prompts, lengths)
    assert cut.max_tokens_ == 100
    assert cut.predict_quantile(prompts[:1], 0.9)[0] == 100


def test_the_shipped_predictor_reads_token_ids() -> None:
    shipped = lw.load_predictor("builtin")
    assert shipped.name == "embeddings"
    one, other = shipped.predict([[1, 2, 3, 4], [1, 50, 60]])
    assert min(one, other) > 0
    with pytest.raises(lw.UserError, match="give the model to load, or token ids"):
        shipped.predict(["a text"])


@pytest.mark.parametrize(
    ("prompts", "lengths", "said"),
    [
        ("one text", [1], "a list of texts"),
        (5, [1], "a list of texts"),
        ([], [], "no prompts"),
        (["a", [1]] * 9, [1] * 18, "mixed"),
        (["a"] * 12, [1] * 11, "as many lengths"),
        (["a"] * 12, [1.5] * 12, "whole numbers"),
        (["a"] * 12, [0] * 12, "from 1 up"),
        (["a"] * 12, ["x"] * 12, "numbers of tokens"),
        (["a"] * 3, [1] * 3, "too few"),
        ([[1.5]] * 12, [1] * 12, "a list of token ids"),
        ([[]] * 12, [1] * 12, "a list of token ids"),
    ],
)
def test_bad_data_is_one_line(prompts: Any, lengths: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        lw.LengthRegressor().fit(prompts, lengths)
    assert isinstance(caught.value, lw.UserError)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"name": "psychic"}, "unknown predictor"),
        ({"name": "trail"}, "does not learn from prompts"),
        ({"name": "oracle"}, "does not learn from prompts"),
        ({"name": "embeddings"}, "name it by --model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"model": "nowhere-at-all"}, "nowhere-at-all"),
    ],
)
def test_bad_parameters_are_one_line(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(lw.UserError, match=said):
        lw.LengthRegressor(**parameters).fit(*data())


def test_a_folder_without_a_predictor_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(lw.UserError, match="no trained predictors"):
        lw.load_predictor(tmp_path)
