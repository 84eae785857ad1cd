import numpy as np
import pytest

from lengthwise.core import Bins
from lengthwise.predictors.base import Fitting
from lengthwise.predictors.baselines import Constant
from lengthwise.predictors.history import History

BINS = Bins.log(20, 512).with_overflow()
TYPICAL = {"code": 300, "chat": 100, "label": 5}


@pytest.fixture
def served(made_answers):
    """Three applications whose answers are long, medium and short."""

    def make(n=300, seed=0, typical=TYPICAL):
        draw = np.random.default_rng(seed)
        names = draw.choice(sorted(typical), size=n).tolist()
        tokens = [max(1, round(typical[name] * draw.uniform(0.8, 1.2))) for name in names]
        return made_answers(["hello"] * n, tokens, templates=names, seed=seed)

    return make


@pytest.fixture
def history(served):
    return History.fit(served(), served(n=100, seed=1), BINS, Fitting())


def median(predictor, made_answers, template):
    return float(predictor.first(made_answers(["x"], [9], templates=[template])).median()[0])


@pytest.mark.parametrize("template", TYPICAL)
def test_each_template_has_its_own_lengths(history, made_answers, template):
    assert median(history, made_answers, template) == pytest.approx(TYPICAL[template], rel=0.25)


def test_an_unknown_template_is_everybodys(history, served, made_answers):
    constant = Constant.fit(served(), served(), BINS, Fitting())
    unknown = made_answers(["x"], [9], templates=["new"])
    np.testing.assert_allclose(
        history.first(unknown).probabilities, constant.first(unknown).probabilities, atol=1e-6
    )


def test_distributions_add_up_to_one_and_none_is_impossible(history, served):
    said = history.first(served(n=30, seed=2))
    np.testing.assert_allclose(said.probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert (said.probabilities > 0).all()


def test_a_single_answer_does_not_decide(served, made_answers):
    """A template seen once stays near the overall histogram, if templates say nothing."""
    alike = dict.fromkeys("abcdefghijklmnopqrst", 100)
    fit = served(n=40, typical=alike)
    rare = made_answers(["x"], [500], templates=["rare"])
    both = type(fit)(fit.model, fit.layers, fit.cap, fit.asked + rare.asked, fit.rows + rare.rows)
    found = History.fit(both, served(n=200, seed=1, typical=alike), BINS, Fitting())
    assert median(found, made_answers, "rare") == pytest.approx(100, rel=0.25)


def test_templates_that_differ_are_shrunk_less(served):
    """The share of ``label``'s mass that is where its answers are."""
    alike = dict.fromkeys(TYPICAL, 100)
    differ = History.fit(served(60), served(100, 1), BINS, Fitting())
    same = History.fit(served(60, typical=alike), served(100, 1, alike), BINS, Fitting())
    away = [np.abs(found.shares - found.overall).sum(axis=1).mean() for found in (differ, same)]
    assert away[0] > 3 * away[1]


def test_what_is_saved_comes_back(history, served):
    answers = served(n=30, seed=3)
    again = History.restore(BINS, *history.state())
    np.testing.assert_array_equal(again.first(answers).mean(), history.first(answers).mean())


def test_templates_without_their_histogram_are_refused(history):
    settings, arrays = history.state()
    with pytest.raises(ValueError, match="2 templates"):
        History.restore(BINS, {"templates": settings["templates"][:2]}, arrays)
