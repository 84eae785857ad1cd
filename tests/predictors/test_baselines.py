import numpy as np
import pytest
from scipy.stats import kendalltau

from lengthwise.core import Bins
from lengthwise.predictors import find_predictor
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.baselines import Constant, MaxTokens, PromptLength

BINS = Bins.log(20, 512).with_overflow()
ALL = pytest.mark.parametrize(
    "spec", ["constant", "prompt-length", "prompt-length:signed", "max-tokens"]
)


@pytest.fixture
def asking(made_answers):
    """Answers three times as long as the prompts, or that much shorter."""

    def make(n=300, seed=0, longer=True):
        draw = np.random.default_rng(seed)
        words = draw.integers(2, 60, size=n)
        tokens = (3 * words if longer else 200 - 3 * words) + draw.integers(0, 20, size=n)
        return made_answers(["word " * int(count) for count in words], tokens, seed=seed)

    return make


def fitted(spec, answers):
    kind, how = find_predictor(spec)
    return kind.fit(answers, answers, BINS, how)


@ALL
def test_distributions_add_up_to_one_and_keep_the_limit(spec, asking):
    said = fitted(spec, asking()).first(asking(seed=1))
    np.testing.assert_allclose(said.probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert (said.quantile(0.99) <= 512).all()


@ALL
def test_what_is_saved_comes_back(spec, asking):
    predictor, answers = fitted(spec, asking()), asking(n=20, seed=1)
    again = type(predictor).restore(BINS, *predictor.state())
    np.testing.assert_array_equal(again.first(answers).mean(), predictor.first(answers).mean())
    np.testing.assert_array_equal(again.scores(answers.asked), predictor.scores(answers.asked))


@ALL
def test_remaining_tokens_are_told_at_every_position(spec, asking):
    answers = asking(n=20)
    said = fitted(spec, asking()).remaining(answers)
    assert len(said) == len(answers.positions.age)
    assert (said.mean() > 0).all()


def test_the_constant_median_is_the_training_median(asking):
    answers = asking(n=2000)
    median = fitted("constant", answers).first(answers).median()
    assert len(set(median.tolist())) == 1
    assert median[0] == pytest.approx(np.median(answers.tokens), rel=0.05)


def test_a_constant_does_not_read(asking, made_answers):
    constant = fitted("constant", asking())
    other = made_answers(["a", "b c"], [1, 400])
    assert len(set(constant.first(other).mean().tolist())) == 1


def test_a_longer_prompt_gets_a_longer_answer(asking):
    answers = asking(seed=1)
    said = fitted("prompt-length", asking()).first(answers)
    assert kendalltau(said.mean(), answers.tokens).statistic > 0.8
    constant = fitted("constant", asking()).first(answers)
    off, far = (np.abs(each.median() - answers.tokens).mean() for each in (said, constant))
    assert off < 0.4 * far


@pytest.mark.parametrize(("longer", "signed"), [(True, 1), (False, -1)])
def test_only_the_signed_variant_turns_the_order_round(asking, longer, signed):
    answers = asking(longer=longer)
    for spec, sign in (("prompt-length", 1), ("prompt-length:signed", signed)):
        scores = fitted(spec, answers).scores(answers.asked)
        np.testing.assert_array_equal(
            scores, [sign * len(each.prompt_ids) for each in answers.asked]
        )


def test_max_tokens_is_believed(asking):
    answers = asking(n=20)
    said = fitted("max-tokens", answers).first(answers)
    np.testing.assert_array_equal(said.mean(), 512)
    np.testing.assert_allclose(said.median(), 512)


def test_damaged_states_are_refused():
    with pytest.raises(ValueError, match="shares"):
        Constant.restore(BINS, {}, {"shares": np.ones(3, np.float32)})
    with pytest.raises(KeyError):
        PromptLength.restore(BINS, {"sign": 1}, {})
    with pytest.raises(ValueError, match="sign"):
        PromptLength.restore(BINS, {"sign": 7}, {})


def test_prompts_of_one_length_are_all_alike(made_answers):
    """No order among the prompts: τ is undefined."""
    answers = made_answers(["one two"] * 20, range(10, 30))
    said = PromptLength.fit(answers, answers, BINS, Fitting("signed")).first(answers)
    assert said.mean().std() == pytest.approx(0, abs=1e-3)


def test_max_tokens_needs_no_weights():
    assert MaxTokens(BINS).state() == ({}, {})
