"""What travels from predictors to policies."""

from __future__ import annotations

import math
import pickle
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core import Bins, Request
from lengthwise.core.lengths import Lengths
from lengthwise.core.prediction import MENDED, Prediction, each_of, point

BINS = Bins.log(6, 400.0).with_overflow()
K = len(BINS)

weights = st.lists(st.floats(0.0, 1.0), min_size=K, max_size=K).filter(lambda w: sum(w) > 0.01)
limits = st.floats(1.0, 900.0) | st.just(math.inf)
ages = st.integers(0, 900)
levels = st.floats(0.0, 1.0)


def lengths(rows: list[list[float]], limit: float = math.inf) -> Lengths:
    shares = np.array(rows)
    shares = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
    return Lengths.of(BINS, shares, np.full(len(rows), limit))


def made(row: list[float], limit: float = math.inf) -> Prediction:
    [found] = each_of(lengths([row], limit), "prompt")
    assert found is not None
    return found


@given(st.lists(weights, min_size=1, max_size=5), limits, ages, levels)
def test_each_row_of_a_batch_says_what_the_lengths_say_at_any_age(
    rows: list[list[float]], limit: float, age: int, level: float
) -> None:
    whole = lengths(rows, limit)
    left = whole.after(np.full(len(rows), age)) if age else whole
    for row, each in enumerate(each_of(whole, "prompt")):
        assert each is not None
        now = each.after(age)
        assert now.mean == pytest.approx(max(left.mean()[row], 1.0), rel=1e-4)
        assert now.quantile(level) == pytest.approx(max(left.quantile(level)[row], 1.0), rel=1e-4)
        tokens, shares = now.support
        assert shares.sum() == pytest.approx(1.0, abs=1e-4)
        assert max(float(tokens @ shares), 1.0) == pytest.approx(now.mean, rel=1e-3)


@given(weights, limits, ages, levels, levels)
def test_quantiles_and_probabilities_never_fall_and_are_each_others_inverse(
    row: list[float], limit: float, age: int, low: float, high: float
) -> None:
    now = made(row, limit).after(age)
    low, high = sorted((low, high))
    shorter, longer = now.quantile(low), now.quantile(high)
    assert 1.0 <= shorter <= longer <= max(limit - age, 1.0) * (1 + 1e-6)
    within = [now.probability_to_end_within(n) for n in (0.0, shorter, longer, 1e9)]
    assert within == sorted(within)
    assert within[-1] == pytest.approx(1.0, abs=1e-5)
    assert now.probability_to_end_within(shorter * (1 + 1e-5) + 1e-3) >= low - 1e-3


@given(weights, ages, ages)
def test_conditioning_twice_is_conditioning_once(row: list[float], first: int, second: int) -> None:
    once = made(row)
    assert once.after(first).after(second) == once.after(second)
    assert once.after(0) is once


@given(weights, ages)
def test_a_request_that_has_not_ended_has_its_total_moved_up(row: list[float], age: int) -> None:
    """P(X > n) of the total is never more than P(X > n | X > age)."""
    first = made(row)
    for n in (1, 10, 100, 1000):
        total = 1.0 - first.probability_to_end_within(age + n)
        given_age = 1.0 - first.after(age).probability_to_end_within(n)
        if first.probability_to_end_within(age) < 0.999:
            assert given_age >= total - 1e-3


@given(st.floats(0.01, 1e6), st.integers(0, 1000), st.integers(0, 2000), levels)
def test_a_point_counts_down_and_is_sure(
    tokens: float, age: int, generated: int, level: float
) -> None:
    found = point(tokens, "client", age)
    assert found is not None
    now = found.after(generated)
    left = max(tokens - max(generated - age, 0), 1.0)
    assert now.mean == now.quantile(level) == left
    assert now.probability_to_end_within(left) == 1.0
    assert now.probability_to_end_within(left - 0.5) == 0.0
    assert [each.tolist() for each in now.support] == [[np.float32(left)], [1.0]]
    assert (now.tokens, now.age, now.source) == (tokens, age, "client")


@given(weights, limits, st.floats(0.0, 900.0), ages)
def test_a_request_can_end_sooner_than_was_predicted(
    row: list[float], limit: float, most: float, age: int
) -> None:
    cut = made(row, limit).at_most(most)
    assert cut.mean == max(min(made(row, limit).tokens, most), 1.0)
    # Limits are kept in single precision.
    assert cut.after(age).quantile(1.0) <= max(min(limit, most) - age, 1.0) + 1e-3


def test_at_most_makes_nothing_new_where_nothing_changes() -> None:
    sure, spread = point(30.0, "prompt"), made([1.0] * K, 60.0)
    assert sure is not None
    assert sure.at_most(40) is sure
    assert sure.at_most(20) == point(20.0, "prompt")
    assert spread.at_most(60) is spread


@pytest.fixture
def mended() -> Any:
    before = asdict(MENDED)
    return lambda: {name: count - before[name] for name, count in asdict(MENDED).items()}


@pytest.mark.parametrize(
    ("tokens", "stands", "counted"),
    [
        (0.0, 1.0, {"clamped": 1, "refused": 0}),
        (-7.0, 1.0, {"clamped": 1, "refused": 0}),
        (math.inf, None, {"clamped": 0, "refused": 1}),
        (-math.inf, None, {"clamped": 0, "refused": 1}),
        (math.nan, None, {"clamped": 0, "refused": 0}),
        (0.25, 0.25, {"clamped": 0, "refused": 0}),
    ],
)
def test_what_no_policy_could_use_is_mended_and_counted(
    tokens: float, stands: float | None, counted: dict[str, int], mended: Any
) -> None:
    found = point(tokens, "router")
    assert (None if found is None else found.tokens) == stands
    assert mended() == counted
    it = Request("a", 0.0, 0, 5)
    it.refine(tokens, at=3)
    assert it.probed == (stands is not None)
    assert it.initial == (None if stands is None else stands + 3)


def test_a_broken_distribution_is_refused_and_the_others_stay(mended: Any) -> None:
    whole = lengths([[1.0] * K] * 3)
    shares = whole.probabilities.copy()
    shares[1] = np.nan
    shares[2] = np.inf
    with np.errstate(invalid="ignore"):
        good, nan, inf = each_of(Lengths.of(BINS, shares), "prompt")
    assert good is not None
    assert (nan, inf) == (None, None)
    assert mended() == {"clamped": 0, "refused": 2}


def test_unknown_rows_of_a_batch_are_no_predictions(mended: Any) -> None:
    found = each_of(lengths([[1.0] * K] * 2), "prompt", tokens=[math.nan, 42.0])
    assert found[0] is None
    assert found[1] is not None
    assert found[1].mean == 42.0
    assert mended() == {"clamped": 0, "refused": 0}


@pytest.mark.parametrize("level", [-0.1, 1.1, math.nan])
def test_a_level_is_a_probability(level: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        made([1.0] * K).quantile(level)


def test_it_cannot_be_changed() -> None:
    found = made([1.0] * K)
    with pytest.raises(AttributeError):
        found.tokens = 3.0  # type: ignore[misc]
    with pytest.raises(AttributeError):
        found.truth = 3.0  # type: ignore[attr-defined]
    for now in (found, found.after(20)):
        with pytest.raises(ValueError, match="read-only"):
            now.support[1][0] = 1.0


def test_a_batch_is_shared_not_copied_also_on_its_way_to_another_process() -> None:
    whole = lengths([[1.0] * K, [0.5] * K, [2.0] * K])
    found = each_of(whole, "prompt", [0, 3, 5])
    assert all(each is not None and each.batch.lengths is whole for each in found)  # type: ignore[union-attr]
    arrived = pickle.loads(pickle.dumps(found))
    assert len({id(each.batch) for each in arrived}) == 1
    for sent, each in zip(found, arrived, strict=True):
        assert sent is not None
        assert each[:4] == sent[:4]
        assert each.after(30).quantile(0.9) == sent.after(30).quantile(0.9)


def test_figures_of_a_batch_are_computed_for_all_rows_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []
    real = Lengths.quantile

    def counting(self: Lengths, level: float) -> Any:
        calls.append(level)
        return real(self, level)

    monkeypatch.setattr(Lengths, "quantile", counting)
    found = each_of(lengths([[1.0] * K] * 50), "probe", [4] * 50)
    for generated in (4, 5, 5, 6):
        for each in found:
            assert each is not None
            each.after(generated).quantile(0.9)
    assert len(calls) == 3


# What a request makes of it.


def test_a_request_gives_its_prediction_at_its_present_age() -> None:
    it = Request("a", 0.0, 0, 5)
    assert it.prediction is None
    it.receive(made([1.0] * K))
    assert it.prediction is not None
    assert (it.prediction.mean, it.prediction.source) == (it.initial, "prompt")
    it.generated = 30
    assert it.prediction == made([1.0] * K).after(30)._replace(batch=it.prediction.batch)
    # It counts down as it always did; the distribution knows better.
    assert it.initial is not None
    assert it.remaining == max(it.initial - 30, 1.0) != it.prediction.mean


def test_the_probes_first_prediction_replaces_the_prompts() -> None:
    it = Request("a", 0.0, 0, 5, generated=4)
    it.receive(point(100.0, "prompt"))
    [probe] = each_of(lengths([[1.0] * K]), "probe", [4])
    it.receive(probe)
    assert probe is not None
    assert it.probed
    assert (it.initial, it.remaining) == (probe.tokens + 4, probe.tokens)
    assert it.prediction == probe
    it.refine(7.0, at=6)
    it.generated = 8
    assert it.initial == probe.tokens + 4
    assert it.prediction == Prediction(7.0, 6, "probe", 2)


def test_no_prediction_takes_back_the_one_before() -> None:
    it = Request("a", 0.0, 0, 5, awaited=True)
    it.receive(made([1.0] * K))
    assert not it.awaited
    it.receive(None)
    assert (it.prediction, it.initial, it.predicted) == (None, None, False)
    assert math.isnan(it.remaining)
