import numpy as np
import pytest

from lengthwise.core import Bins
from lengthwise.core.query import Query
from lengthwise.online.messages import Finished
from lengthwise.online.outcomes import answers_of, most_tokens
from lengthwise.online.scorer import Scorer
from lengthwise.predictors.base import Fitting


@pytest.fixture(scope="module")
def scorer(fitted):
    return Scorer(fitted())


def outcome(ids, tokens, cut=False, max_tokens=256):
    return Finished(Query("some", ids, "", max_tokens, "app"), tokens, cut)


def test_answers_are_what_was_served(scorer):
    answers = answers_of([outcome([11, 5], 7), outcome([22, 5], 120)], scorer, "model")
    assert answers.tokens.tolist() == [7, 120]
    assert not answers.censored.any()
    assert answers.cap == 256
    assert [each.prompt_ids for each in answers.asked] == [[11, 5], [22, 5]]
    assert {each.template for each in answers.asked} == {"app"}


def test_a_prompt_has_the_same_name_whoever_asks(scorer):
    answers = answers_of([outcome([11, 5], 7), outcome([11, 5], 9)], scorer, "model")
    assert answers.asked[0].id == answers.asked[1].id


def test_an_answer_cut_by_max_tokens_counts_as_what_it_would_have_become(scorer):
    cut = [outcome([22, i], 20, cut=True, max_tokens=20) for i in range(200, 220)]
    tokens = answers_of(cut, scorer, "model").tokens
    assert (tokens > 60).all(), "long answers learned as short, because they were cut short"
    assert (tokens < 200).all()


def test_an_answer_cut_at_the_cap_is_censored_there(scorer):
    answers = answers_of([outcome([22], 400, cut=True, max_tokens=400)], scorer, "model")
    assert answers.tokens.tolist() == [256]
    assert answers.censored.all()


def test_a_prompt_predictor_learns_from_them_and_answers_at_positions(scorer, outcomes, bins):
    answers = answers_of(outcomes(100), scorer, "model")
    learned = type(scorer.predictor).fit(answers, answers, bins, Fitting())
    assert len(learned.remaining(answers)) == 100
    assert answers.positions.current.size == 0


@pytest.mark.parametrize(
    ("bins", "most"),
    [(Bins.log(8, 100).with_overflow(), 100), (Bins.log(8, 100), 100), (Bins.equal(1, 50), 50)],
)
def test_the_cap_is_the_bins_own(bins, most):
    assert most_tokens(bins) == pytest.approx(most, rel=1e-4)


def test_nothing_learned_is_nan(scorer, outcomes):
    assert np.isfinite(answers_of(outcomes(20), scorer, "model").tokens).all()
