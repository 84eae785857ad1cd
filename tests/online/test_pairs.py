import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.online.pairs import KnownLengths

answers = st.lists(st.tuples(st.integers(1, 20), st.booleans()), min_size=2, max_size=30)


def known(rows):
    tokens, cut = zip(*rows, strict=True)
    return KnownLengths(np.array(tokens), np.array(cut))


def by_hand(rows, predicted):
    """The same share, pair by pair."""
    right = pairs = 0.0
    for i, (shorter, cut) in enumerate(rows):
        for j, (longer, _) in enumerate(rows):
            if shorter < longer and not cut:
                pairs += 1
                right += (predicted[i] < predicted[j]) + 0.5 * (predicted[i] == predicted[j])
    return right / pairs if pairs else math.nan


@given(answers, st.data())
def test_the_share_is_that_of_all_pairs_whose_order_is_certain(rows, data):
    predicted = np.array(
        data.draw(st.lists(st.integers(1, 5), min_size=len(rows), max_size=len(rows))), float
    )
    found = known(rows).right(predicted)
    assert found.value == pytest.approx(by_hand(rows, predicted), nan_ok=True)
    assert not found.low < 0.0
    assert not found.high > 1.0


@given(answers)
def test_truth_is_all_right_its_reverse_all_wrong_and_nothing_half(rows):
    lengths = known(rows)
    tokens = np.array([each for each, _ in rows], float)
    if math.isnan(lengths.right(tokens).value):
        return
    assert lengths.right(tokens).value == 1.0
    assert lengths.right(-tokens).value == 0.0
    assert lengths.right(np.full(len(rows), 7.0)).value == 0.5
    assert lengths.right(np.full(len(rows), np.nan)).value == 0.5
    assert lengths.gain(tokens, -tokens).value == 1.0
    assert not lengths.better(tokens, tokens)


def test_the_interval_holds_the_true_share_in_95_of_100():
    # Two normal variables with correlation c agree on a pair with probability 1/2 + asin(c)/pi.
    true, held = 0.5 + math.asin(1 / math.sqrt(2)) / math.pi, 0
    rng = np.random.default_rng(0)
    for _ in range(400):
        length = rng.normal(size=100)
        found = KnownLengths(np.exp(5 + length).astype(int), np.zeros(100, bool)).right(
            length + rng.normal(size=100)
        )
        held += found.low < true < found.high
    assert 0.91 < held / 400 < 0.98


def test_one_worthless_version_in_a_hundred_looks_better_at_some_time():
    rng = np.random.default_rng(0)
    better = 0
    for _ in range(300):
        tokens = np.exp(rng.normal(4.5, 1.0, 400)).astype(int) + 1
        predicted = rng.normal(size=400)
        better += any(
            KnownLengths(tokens[:n], np.zeros(n, bool)).better(predicted[:n], np.ones(n))
            for n in (50, 65, 84, 109, 141, 183, 237, 308, 400)
        )
    assert better / 300 < 0.03


def test_a_version_that_orders_two_of_three_pairs_is_seen_by_a_hundred_requests():
    rng = np.random.default_rng(0)
    seen = 0
    for _ in range(100):
        length = rng.normal(size=100)
        tokens = np.exp(5 + length).astype(int)
        predicted = length + 1.6 * rng.normal(size=100)
        seen += KnownLengths(tokens, np.zeros(100, bool)).better(predicted, np.ones(100))
    assert seen > 80
