"""Expected lengths by source: believed once they were right, bounded, and never absurd."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.arrays import Floats
from lengthwise.core.prediction import PredictedBy, Prediction
from lengthwise.core.prediction import point as maybe_point
from lengthwise.online.priors import Priors

OURS = maybe_point(70.0, "prompt")

tokens = st.integers(0, 2**40)
said = st.floats(1e-300, 1e308)
outcomes = st.tuples(
    st.sampled_from(["", "a", "b"]),
    st.sampled_from(["client", "router"]),
    said,
    st.none() | said,
    tokens,
    st.booleans(),
)


def point(number: float, source: PredictedBy = "client") -> Prediction:
    found = maybe_point(number, source)
    assert found is not None
    return found


def lengths(n: int, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    return np.maximum(rng.lognormal(5.0, 1.0, n).round(), 1.0)


def served(
    priors: Priors, numbers: Floats, came: Floats, source: PredictedBy = "client", name: str = "a"
) -> None:
    for number, length in zip(numbers.tolist(), came.tolist(), strict=True):
        priors.finished(name, point(number, source), None, int(length), False)


def believed(priors: Priors, number: float = 100.0, ours: Prediction | None = None) -> bool:
    found = priors.prediction("a", point(number), ours)
    return found is not None and found.source == "client"


@settings(deadline=None)
@given(st.lists(outcomes, max_size=60), said)
def test_whatever_is_said_a_prediction_is_a_number_above_0(
    history: list[tuple[str, PredictedBy, float, float | None, int, bool]], number: float
) -> None:
    priors = Priors()
    for _ in range(3):
        for name, source, told, ours, length, cut in history:
            predicted = None if ours is None else point(ours, "prompt")
            priors.finished(name, point(told, source), predicted, length, cut)
    for name in ("", "a", "b", "c"):
        found = priors.prediction(name, point(number), OURS)
        assert found is not None
        assert 0.0 < found.tokens < math.inf
        nothing = priors.prediction(name, point(number), None)
        assert nothing is None or 1.0 <= nothing.tokens <= 2**40


def test_a_client_is_believed_once_it_was_right_and_what_it_says_is_put_right() -> None:
    priors, came = Priors(), lengths(400)
    assert not believed(priors)
    served(priors, came[:19] / 10, came[:19])
    assert not believed(priors), "it has shown too little"
    served(priors, came[19:] / 10, came[19:])
    found = [priors.prediction("a", point(number), None) for number in (10.0, 30.0)]
    expected = [each.tokens for each in found if each is not None]
    assert expected == pytest.approx([100.0, 300.0], rel=0.25)


@pytest.mark.parametrize("way", ["one", "reversed"])
@pytest.mark.parametrize("seed", range(5))
def test_who_never_says_the_truth_is_never_believed(way: str, seed: int) -> None:
    priors, came = Priors(), lengths(300, seed)
    numbers = np.ones(300) if way == "one" else 20_000.0 / came
    for number, length in zip(numbers, came, strict=True):
        served(priors, np.array([number]), np.array([length]))
        assert not believed(priors, float(number))


@given(st.integers(0, 2**32), st.floats(1.0, 1e6))
@settings(deadline=None, max_examples=20)
def test_a_flat_lie_comes_to_mean_the_mean(seed: int, lie: float) -> None:
    """Also while what was true before is still believed."""
    priors, came = Priors(), lengths(180, seed)
    served(priors, came[:100], came[:100])
    served(priors, np.full(80, lie), came[100:])
    found = priors.prediction("a", point(lie), None)
    assert found is None or found.tokens == pytest.approx(came[80:].mean(), rel=0.6)


def test_what_was_never_said_means_the_mean() -> None:
    priors, came = Priors(), np.clip(lengths(100), 50, 400)
    served(priors, came, came)
    found = priors.prediction("a", point(1.0), None)
    assert found is not None
    assert found.tokens == pytest.approx(came.mean(), rel=0.02)


def test_who_begins_to_lie_is_not_believed_any_more() -> None:
    priors, came = Priors(), lengths(600)
    served(priors, came[:500], came[:500])
    assert believed(priors)
    served(priors, np.ones(100), came[500:])
    assert not believed(priors)


def test_a_hint_is_used_beside_ours_only_where_it_is_better() -> None:
    came = lengths(300)
    rough = came * np.random.default_rng(1).lognormal(0.0, 1.0, 300)
    for numbers, ours, better in ((came, rough, True), (rough, came, False)):
        priors = Priors()
        for number, own, length in zip(numbers, ours, came, strict=True):
            told, predicted = point(float(number)), point(float(own), "prompt")
            priors.finished("a", told, predicted, int(length), False)
        assert believed(priors, ours=OURS) is better
        assert believed(priors), "without ours both are better than nothing"


def test_a_router_is_believed_until_it_was_wrong() -> None:
    priors, came = Priors(), lengths(200)
    told = point(30.0, "router")
    assert priors.prediction("a", told, OURS) is told
    served(priors, np.full(100, 9.0), came[:100], "router")
    assert priors.prediction("b", told, None) is told, "worth nothing is not less"
    served(priors, 20_000.0 / came[100:], came[100:], "router")
    assert priors.prediction("b", told, OURS) is OURS
    assert priors.prediction("b", told, None) is None
    assert not believed(priors), "it says nothing of a client of any name"


def test_lower_bounds_count_where_the_order_is_certain() -> None:
    came = lengths(300)
    priors = Priors()
    for length in came.tolist():
        priors.finished("a", point(length), None, min(int(length), 150), length > 150)
    assert believed(priors)
    priors = Priors()
    for length in came.tolist():
        priors.finished("a", point(length), None, int(length), True)
    assert not believed(priors), "no order is certain"


def test_long_answers_that_are_cut_are_no_hiding_place() -> None:
    """Honest about short answers; long ones, which max_tokens cuts, are said to be shortest."""
    priors = Priors()
    for i, length in enumerate(lengths(400).tolist()):
        if i % 5:
            priors.finished("a", point(length + 5), None, int(length), False)
        else:
            priors.finished("a", point(1.0), None, 4000, True)
    found = priors.prediction("a", point(1.0), None)
    assert found is None or found.tokens > 2000.0


def test_who_invents_names_is_not_believed_and_drives_nobody_out() -> None:
    priors, came = Priors(), lengths(100)
    served(priors, came, came)
    for i in range(3000):
        told = point(1.0)
        assert priors.prediction(f"liar {i}", told, None) is None
        priors.finished(f"liar {i}", told, None, 500, False)
    assert len(priors) <= 501
    assert believed(priors)


def test_sources_that_are_judged_are_bounded_too() -> None:
    priors, came = Priors(), lengths(20)
    for i in range(520):
        served(priors, came, came, name=str(i))
    assert len(priors) == 500
    latest = priors.worth(3)
    assert [each.source for each in latest] == ["519", "518", "517"]
    assert latest[0].right.value == 1.0
    assert latest[0].gain.value == 0.5
    assert latest[0].right.requests == 20
