from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.query import Query
from lengthwise.errors import UserError
from lengthwise.online import learner as module
from lengthwise.online import versions
from lengthwise.online.learner import Learner, mispredicted
from lengthwise.online.messages import Finished
from lengthwise.online.options import Learning
from lengthwise.online.scorer import Scorer
from lengthwise.predictors.ngrams import Ngrams

QUICK = Learning(every=100, least=50, judges=10, seconds=1e9)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture(scope="module")
def right(fitted):
    return fitted()


@pytest.fixture(scope="module")
def wrong(fitted):
    """Learned that long is short."""
    return fitted(turned=True)


@pytest.fixture
def learning(served):
    """``learning(predictor, options)``: a learner and the notes it wrote."""

    def make(predictor, options=QUICK, clock=None):
        notes = []
        return Learner(Scorer(predictor), options, served, notes.append, clock or Clock()), notes

    return make


def feed(learner, outcomes):
    """All of them; versions are made when due."""
    for outcome in outcomes:
        learner.add(outcome)
        if learner.due():
            learner.begin().join()


def test_a_better_version_is_put_to_use(learning, wrong, outcomes):
    learner, notes = learning(wrong)
    feed(learner, outcomes(100))
    assert learner.counters.swaps == 1
    assert learner.counters.version == 1
    assert learner._scorer.predictor is not wrong
    assert [note.line for note in notes if "version 1 put to use: MAE" in note.line]
    assert len(notes) == 1
    assert notes[0].counters.swaps == 1


def test_a_version_that_is_no_better_is_refused(learning, right, outcomes):
    learner, notes = learning(right, replace(QUICK, margin=0.25))
    feed(learner, outcomes(100))
    assert learner.counters.refusals == 1
    assert learner.counters.version == 0
    assert learner._scorer.predictor is right
    assert "refused" in notes[0].line


def test_a_worse_version_never_replaces_a_better(learning, right, outcomes):
    learner, _ = learning(right)
    lies = outcomes(80, seed=5, turned=True)
    learner.learn(lies, outcomes(40, seed=6))
    assert learner._scorer.predictor is right
    assert learner.counters.refusals == 1


def test_a_version_that_cannot_be_made_is_a_refusal(learning, right, outcomes, monkeypatch):
    learner, notes = learning(right)
    monkeypatch.setattr(Ngrams, "fit", classmethod(_fail))
    feed(learner, outcomes(100))
    assert learner._scorer.predictor is right
    assert learner.counters.refusals == 1
    assert notes[0].line == "no new version could be made (MemoryError: too large)"


def _fail(cls, *args):
    raise MemoryError("too large")


@settings(max_examples=30)
@given(st.lists(st.integers(0, 300), max_size=200), st.floats(0.05, 0.95))
def test_held_back_prompts_are_never_learned_from(served, prompts, share):
    """However often they come."""
    options = Learning(held_back=share, uniform=20, recent=50, least=10, judges=10)
    learner = Learner(Scorer(None), options, served, lambda note: None)
    for i, prompt in enumerate(prompts):
        learner.add(Finished(Query(str(i), [prompt], "", 8), 5, False))
    learned = {tuple(each.asked.prompt_ids) for each in learner.reservoir.items()}
    judges = {tuple(each.asked.prompt_ids) for each in learner.judges}
    assert not learned & judges
    assert learner.counters.learned + learner.counters.held_back == len(prompts)


def test_a_judge_judges_once(learning, right, outcomes, monkeypatch):
    learner, _ = learning(right)
    seen = []
    monkeypatch.setattr(module, "grade", lambda scorer, judges: seen.append(judges) or None)
    monkeypatch.setattr(module, "better", lambda *_: False)
    feed(learner, outcomes(300))
    assert len(seen) >= 4
    judged = [each.asked.id for judges in seen[::2] for each in judges]
    assert len(judged) == len(set(judged))


def test_nothing_is_made_before_there_is_news_enough(learning, right, outcomes):
    learner, _ = learning(right)
    for outcome in outcomes(99):
        learner.add(outcome)
        assert not learner.due()


def test_time_makes_it_due_too_but_not_without_news(learning, right, outcomes):
    clock = Clock()
    learner, _ = learning(right, Learning(every=10**6, least=50, judges=10, seconds=60), clock)
    for outcome in outcomes(99):
        learner.add(outcome)
    assert not learner.due()
    clock.now = 61
    assert learner.due()
    learner.begin().join()
    clock.now = 200
    assert not learner.due()


def test_a_restart_goes_on_with_the_newest_version(learning, wrong, outcomes, tmp_path):
    options = Learning(folder=str(tmp_path), every=100, least=50, judges=10)
    before, _ = learning(wrong, options)
    feed(before, outcomes(100))
    assert versions.numbers(tmp_path) == [1]
    after, notes = learning(wrong, options)
    after.resume()
    assert after.counters.version == 1
    requests = [each.asked for each in outcomes(20, seed=9)]
    np.testing.assert_allclose(
        after._scorer.tokens(requests), before._scorer.tokens(requests), rtol=0.05
    )
    assert notes[0].line == "goes on with version 1 of ngrams"


def test_a_version_that_cannot_be_saved_is_used_all_the_same(learning, wrong, outcomes, tmp_path):
    (tmp_path / "file").write_text("")
    options = Learning(folder=str(tmp_path / "file"), every=100, least=50, judges=10)
    learner, notes = learning(wrong, options)
    feed(learner, outcomes(100))
    assert learner.counters.swaps == 1
    assert "could not be saved" in notes[0].line


def test_drift_is_reported_once_and_the_past_forgotten(learning, right, outcomes):
    learner, notes = learning(right, Learning(recent=60, judges=10, least=50))
    scorer = Scorer(right)

    def served(n, seed, turned):
        for each in outcomes(n, seed, turned):
            yield type(each)(each.asked, each.tokens, each.cut, scorer.tokens([each.asked])[0])

    feed(learner, served(400, 1, False))
    assert learner.counters.drifts == 0
    assert len(learner.reservoir) > 300
    feed(learner, served(60, 2, True))
    assert learner.counters.drifts == 1
    assert len(learner.reservoir) <= 110
    assert [note.line.startswith("lengths have drifted") for note in notes] == [True]


def test_after_drift_it_learns_the_new_lengths(learning, right, outcomes):
    learner, _ = learning(right, Learning(every=200, recent=100, judges=20, least=50))
    feed(learner, outcomes(400, seed=1, predicted=50.0))
    assert learner.counters.swaps == 0
    feed(learner, outcomes(1000, seed=2, turned=True, predicted=1e6))
    assert learner.counters.drifts >= 1
    assert learner.counters.swaps >= 1
    short, long = learner._scorer.tokens([_request(22), _request(11)])
    assert short < long


def _request(word):
    return Query("", [word, 5, 6], "", 256)


@pytest.mark.parametrize(
    ("predicted", "tokens", "found"),
    [(100, 111, False), (100, 89, True), (1000, 1050, False), (5, 16, True), (5, 14, False)],
)
def test_magnus_rule(outcomes, predicted, tokens, found):
    one = outcomes(1)[0]
    assert mispredicted(type(one)(one.asked, tokens, False, predicted)) is found


def test_by_magnus_rule_only_the_mispredicted_are_learned_from(learning, right, outcomes):
    learner, _ = learning(right, Learning(mispredicted=True))
    for each in outcomes(200):
        learner.add(type(each)(each.asked, each.tokens, False, float(each.tokens)))
    assert len(learner.reservoir) == 0
    assert learner.counters.held_back > 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"evry": 5}, "unknown learning option 'evry'.*every"),
        ({"held_back": 0}, "held_back"),
        ({"held_back": 1.5}, "held_back"),
        ({"margin": -1}, "margin"),
        ({"every": 0}, "every"),
        ({"least": 9999}, "least"),
        ({"judges": 5000}, "judges"),
        ({"every": "often"}, "numbers"),
    ],
)
def test_options_that_cannot_be_meant_are_one_line(given, says):
    with pytest.raises(UserError, match=says) as caught:
        Learning.of(given)
    assert "\n" not in str(caught.value)
