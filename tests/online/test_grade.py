import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.online.grade import Grade, better, grade
from lengthwise.online.scorer import Scorer
from lengthwise.predictors.ngrams import Ngrams

errors = st.lists(st.floats(0, 1000, width=32), min_size=2, max_size=30)
taus = st.floats(-1, 1)
margins = st.floats(0.001, 0.5)


def given_grade(errors, tau):
    return Grade(np.array(errors, dtype=np.float32), tau)


@given(errors, taus, margins)
def test_nothing_is_better_than_itself(found, tau, margin):
    one = given_grade(found, tau)
    assert not better(one, one, margin)


@given(errors, taus, taus, margins)
def test_of_two_at_most_one_is_better(found, one, other, margin):
    a, b = given_grade(found, one), given_grade(found[::-1], other)
    assert not (better(a, b, margin) and better(b, a, margin))


@pytest.mark.parametrize(
    ("share", "tau", "found"),
    [(0.97, 0.5, True), (0.99, 0.5, False), (0.97, 0.48, False), (1.0, 0.9, False)],
)
def test_better_by_the_margin_and_no_worse_in_rank(share, tau, found):
    old = np.linspace(90, 110, 50)
    assert better(given_grade(share * old, tau), given_grade(old, 0.5), margin=0.02) is found


def test_a_gain_within_the_noise_is_none():
    draw = np.random.default_rng(0)
    old = draw.exponential(100, size=40)
    noise = draw.normal(0, 60, size=40)
    new = old + noise - noise.mean() - 4
    assert new.mean() < 0.98 * old.mean(), "the test means nothing otherwise"
    assert not better(given_grade(new, 0.5), given_grade(old, 0.5), margin=0.02)


def test_equals_seldom_look_better():
    """Two versions equally good, 60 judges: about one swap in seven."""
    draw = np.random.default_rng(1)
    swaps = 0
    for _ in range(2000):
        same = draw.exponential(80, size=60)
        one, other = (given_grade(same + draw.exponential(20, 60), 0.5) for _ in range(2))
        swaps += better(one, other, margin=0.02)
    assert swaps < 0.2 * 2000


def test_whatever_fails_is_replaced_by_what_does_not():
    nothing = given_grade([np.nan, 1.0], 0.9)
    assert better(given_grade([500.0, 500.0], 0.0), nothing, 0.02)
    assert not better(nothing, given_grade([500.0, 500.0], 0.0), 0.02)
    assert not better(nothing, nothing, 0.02)


def test_a_grade_is_of_answers_as_served(fitted, outcomes):
    scorer = Scorer(fitted())
    whole = grade(scorer, outcomes(100, seed=1))
    assert whole.mae < 20
    assert whole.tau > 0.4
    cut = grade(scorer, outcomes(100, seed=1, max_tokens=10))
    assert cut.mae < 5


def test_a_predictor_that_says_the_same_of_all_has_no_rank(fitted, outcomes):
    good = fitted()
    flat = Ngrams(good.bins, good.curve, good.idf, 0 * good.weight, good.intercept)
    assert grade(Scorer(flat), outcomes(50)).tau == 0


def test_a_predictor_that_fails_has_no_grade(fitted, outcomes):
    good = fitted()
    broken = Ngrams(good.bins, good.curve, good.idf, np.nan * good.weight, good.intercept)
    with np.errstate(invalid="ignore"):
        assert grade(Scorer(broken), outcomes(50)).failed
