import json
from dataclasses import replace

import numpy as np
import pytest

from lengthwise.answers.arrays import split
from lengthwise.errors import UserError
from lengthwise.evaluate import fitted as module
from lengthwise.evaluate.fitted import file_name, fitted
from lengthwise.predictors.base import Fitting

HOW = Fitting(epochs=2)


@pytest.fixture(scope="module")
def parts(answers):
    return split(answers)


@pytest.fixture
def fits(monkeypatch):
    """Counts what is really fitted."""
    real, seen = module._fit, []

    def counting(kind, *rest):
        seen.append(kind.name)
        return real(kind, *rest)

    monkeypatch.setattr(module, "_fit", counting)
    return seen


def test_what_was_fitted_to_the_same_is_read_back(parts, tmp_path, fits):
    first = fitted("trail:10-bins", parts, tmp_path, HOW)
    again = fitted("trail:10-bins", parts, tmp_path, HOW)
    assert fits == ["trail"]
    assert (again.fit_s, again.layers) == (first.fit_s, first.layers)
    assert set(first.layers) == {1, 2}
    one, other = (each.predictor.remaining(parts.test) for each in (first, again))
    assert np.array_equal(one.probabilities, other.probabilities)


def test_other_data_or_another_seed_is_fitted_again(parts, tmp_path, fits):
    fitted("ngrams", parts, tmp_path, HOW)
    fitted("ngrams", parts, tmp_path, Fitting(epochs=2, seed=1))
    less = parts.fit.some(np.arange(len(parts.fit)) > 0)
    fitted("ngrams", module.Split(less, parts.tune, parts.test), tmp_path, HOW)
    assert fits == ["ngrams"] * 3


def test_held_out_prompts_do_not_matter_to_it(parts, tmp_path, fits):
    fitted("ngrams", parts, tmp_path, HOW)
    fitted("ngrams", module.Split(parts.fit, parts.tune, parts.tune), tmp_path, HOW)
    assert fits == ["ngrams"]


def with_texts(answers):
    asked = [replace(each, text=f"words {each.id}") for each in answers.asked]
    return replace(answers, asked=asked)


def test_texts_only_matter_to_those_that_read_them(parts, tmp_path, fits):
    """Or one more reader of text in the list would have everything fitted again."""
    read = module.Split(with_texts(parts.fit), with_texts(parts.tune), parts.test)
    fitted("ngrams", parts, tmp_path, HOW)
    fitted("ngrams", read, tmp_path, HOW)
    assert fits == ["ngrams"]
    assert module.digest(parts.fit, texts=True) != module.digest(read.fit, texts=True)


def test_a_folder_that_grew_has_another_digest(parts):
    less = parts.test.some(np.arange(len(parts.test)) > 0)
    assert module.digest(parts.test) != module.digest(less)


def test_an_oracle_is_never_kept(parts, tmp_path):
    found = fitted("oracle", parts, tmp_path, HOW)
    assert np.array_equal(found.predictor.first(parts.test).mean(), parts.test.tokens)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_is_named(parts, tmp_path):
    fitted("ngrams", parts, tmp_path, HOW)
    path = tmp_path / "ngrams" / "fitted.json"
    good = json.loads(path.read_text())
    path.write_text("{")
    with pytest.raises(UserError, match=r"delete .*ngrams and run lengthwise evaluate again"):
        fitted("ngrams", parts, tmp_path, HOW)
    path.write_text(json.dumps(good))
    (tmp_path / "ngrams" / "predictor.safetensors").write_bytes(b"no")
    with pytest.raises(UserError, match="cannot be read"):
        fitted("ngrams", parts, tmp_path, HOW)


def test_a_variant_has_a_folder_of_its_own():
    assert file_name("trail:paper") == "trail-paper"
