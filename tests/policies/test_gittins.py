"""``gittins``: the index of the predicted distribution, against its closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from lengthwise.core import Bins
from lengthwise.core.lengths import Lengths
from lengthwise.core.policy import AWAITED, UNPREDICTED
from lengthwise.core.prediction import each_of
from lengthwise.core.request import Request
from lengthwise.policies import make_policy
from lengthwise.policies.gittins import Gittins
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload

FINE = Bins.equal(1000, 4000)
AGES = (0, 16, 48, 96, 320)


def predicted(*tails: object, bins: Bins = FINE) -> list[Request]:
    """Requests whose laws have these tails P(S > t) at the edges of the bins."""
    shares = np.array([-np.diff(np.asarray(tail, float)) for tail in tails])
    lengths = Lengths.of(bins, shares / shares.sum(axis=1, keepdims=True))
    requests = []
    for seq, prediction in enumerate(each_of(lengths, "prompt")):
        requests.append(Request(str(seq), 0.0, seq, 10))
        requests[-1].receive(prediction)
    return requests


def ranks(it: Request, ages: tuple[int, ...] = AGES) -> list[float]:
    policy, found = Gittins(), []
    for it.generated in ages:
        found.append(policy.rank(it))
    return found


def test_of_a_point_it_is_what_is_left() -> None:
    it = Request("0", 0.0, 0, 10)
    it.predict(100.0)
    assert ranks(it, (0, 7, 60, 99, 150)) == [100, 93, 40, 1, 1]


def test_of_a_law_that_is_sure_it_is_what_is_left() -> None:
    [it] = predicted(FINE.edges <= 400.0)
    assert ranks(it) == pytest.approx([402 - age for age in AGES], rel=0.01)


def test_of_an_exponential_it_is_the_mean_at_any_age() -> None:
    [it] = predicted(np.exp(-FINE.edges / 200.0))
    # The first bin is 4 tokens wide.
    assert ranks(it) == pytest.approx([200.0] * len(AGES), rel=0.02)


def test_of_an_even_law_it_is_half_of_what_may_be_left() -> None:
    [it] = predicted(np.clip(1 - FINE.edges / 800.0, 0, 1))
    assert ranks(it) == pytest.approx([(800 - age) / 2 for age in AGES], rel=0.01)


def test_the_young_of_a_hyperexponential_law_go_first() -> None:
    """Nine of ten have 20 tokens on average, the others 1,000: at 0 it is 1 / hazard."""
    few, many = np.exp(-FINE.edges / 20.0), np.exp(-FINE.edges / 1000.0)
    [it] = predicted(0.9 * few + 0.1 * many)
    found = ranks(it)
    assert found[0] == pytest.approx(1 / (0.9 / 20 + 0.1 / 1000), rel=0.1)
    assert found == sorted(found)
    # The mean is above: an early end is likely, so the index does not wait for the rest.
    assert found[0] < 118 / 4


def test_it_may_prefer_a_chance_to_the_shorter_mean() -> None:
    """Half end within 20 tokens, half have 400; against 100 for sure."""
    chance, sure = predicted(
        np.where(FINE.edges < 20, 1.0, np.where(FINE.edges < 400, 0.5, 0.0)), FINE.edges < 100
    )
    assert chance.initial is not None
    assert sure.initial is not None
    assert chance.initial > 2 * sure.initial
    policy = make_policy("gittins")
    assert policy.rank(chance) == pytest.approx(40, rel=0.05)
    assert policy.rank(chance) < policy.rank(sure)
    # When the chance is past it gives up its seat.
    chance.generated = 32
    assert policy.rank(chance) > policy.rank(sure)
    assert policy.preemptible(chance)
    assert policy.may_preempt(sure)


def test_it_is_renewed_every_16_tokens_and_says_so() -> None:
    [it] = predicted(np.clip(1 - FINE.edges / 800.0, 0, 1))
    policy, at = make_policy("gittins"), {}
    for it.generated in range(64):
        at.setdefault(policy.rank(it), []).append(it.generated)
        assert policy.holds(it) == 16 - it.generated % 16
    assert sorted(map(len, at.values())) == [16] * 4


def test_a_new_prediction_counts_at_once() -> None:
    first, second = predicted(FINE.edges <= 400.0, FINE.edges <= 40.0)
    policy = make_policy("gittins")
    first.generated = 32
    assert policy.rank(first) == pytest.approx(370, rel=0.01)
    renewed = second.prediction
    assert renewed is not None
    first.receive(renewed._replace(source="probe", age=32))
    assert policy.rank(first) == pytest.approx(42, rel=0.05)
    first.generated = 48
    assert policy.rank(first) == pytest.approx(26, rel=0.05)


def test_without_a_prediction_nobody_is_preempted() -> None:
    policy = make_policy("gittins")
    unknown, awaited = (Request(str(seq), 0.0, seq, 10) for seq in range(2))
    awaited.awaited = True
    assert (policy.rank(unknown), policy.rank(awaited)) == (UNPREDICTED, AWAITED)
    assert not policy.preemptible(unknown)
    assert not policy.may_preempt(unknown)


def test_it_keeps_nothing_of_those_that_are_gone() -> None:
    [it] = predicted(np.exp(-FINE.edges / 200.0))
    policy = Gittins()
    it.generated = 40
    policy.rank(it)
    assert policy._own
    policy.leave(it)
    assert not policy._own


class Careful(Gittins):
    """Has the simulator look after every token."""

    def holds(self, request: Request) -> float:
        return 1


def test_the_simulator_skips_no_step_in_which_an_index_moves() -> None:
    rng = np.random.default_rng(2)
    n = 200
    output = np.where(rng.random(n) < 0.8, rng.integers(1, 40, n), rng.integers(200, 600, n))
    arrival = np.arange(n) * 0.5
    workload = Workload(arrival, rng.integers(1, 90, n), output)
    time = Linear("small", "test", base=0.01, prefill=2e-4, decode=1e-3, context=1e-6)
    outcomes = [
        Simulator(
            workload, policy, make_predictor("lognormal:1.5"), time, Setup(seats=4, blocks=200)
        ).run()
        for policy in (Gittins(), Careful())
    ]
    assert outcomes[0].pauses > 0, "nobody lost a seat"
    np.testing.assert_allclose(outcomes[0].finish, outcomes[1].finish)
