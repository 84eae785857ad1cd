"""Simulated runs: what they note, and the load that is borne."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.advise.jobs import Find, Serve
from lengthwise.advise.plan import AdvicePlan, Contender
from lengthwise.errors import UserError
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.workload import Workload

FCFS = Contender("fcfs")
SECOND = Linear("second", "a step takes a second", 1.0, 0.0, 0.0, 0.0)


def every(seconds: float, n: int, output: int = 2) -> Workload:
    """Requests at regular times, each of a step for its prompt and one for its second token."""
    return Workload(np.arange(n) * seconds, np.full(n, 4), np.full(n, output), name="regular")


def plan(workload: Workload, seats: int = 1, blocks: int = 100, **more: float) -> AdvicePlan:
    setup = Setup(seats=seats, budget=64, blocks=blocks, block_size=4)
    return AdvicePlan(workload, (FCFS,), SECOND, setup, **more)


def test_the_share_of_the_time_in_which_requests_wait_is_exact() -> None:
    two_at_once = Workload(np.zeros(2), np.full(2, 4), np.full(2, 2), name="two")
    asked = plan(replace(two_at_once, arrival=np.array([0.0, 0.0])))
    # One is served in two seconds, then the other in two.
    seen = Serve(FCFS, watch=True).run(asked).watched
    assert seen is not None
    assert seen.waiting_share == pytest.approx(0.5)
    assert seen.seats_full_share == pytest.approx(0.5)
    assert seen.memory_full_share == 0.0


def test_memory_that_has_no_room_is_told_from_seats() -> None:
    workload = Workload(np.zeros(2), np.full(2, 40), np.full(2, 2), name="two")
    seen = Serve(FCFS, watch=True).run(plan(workload, seats=2, blocks=12)).watched
    assert seen is not None
    assert (seen.seats_full_share, seen.memory_full_share) == (0.0, pytest.approx(0.5))
    # 40 tokens in blocks of 4; the block of the next token comes as the step ends.
    assert seen.most_used == pytest.approx(10 / 12)


def test_blocks_under_the_watermark_are_no_room() -> None:
    workload = Workload(np.array([0.0, 0.5]), np.full(2, 20), np.full(2, 2), name="two")
    shares = []
    for watermark in (0.0, 0.25):
        asked = plan(workload, seats=2, blocks=12)
        kept = Contender("fcfs", watermark=watermark)
        seen = Serve(kept, watch=True).run(replace(asked, contenders=(kept,))).watched
        assert seen is not None
        shares.append((seen.memory_full_share > 0, seen.blocks))
    # The second needs 5 of the 7 that are free, of which three stay free.
    assert shares == [(False, 12), (True, 12)]


def test_who_never_waits_is_seen_not_to() -> None:
    seen = Serve(FCFS, watch=True).run(plan(every(3.0, 50))).watched
    assert seen is not None
    assert seen.waiting_share == 0.0


def test_a_watched_run_is_the_same_run() -> None:
    asked = plan(every(1.7, 40), seats=1)
    watched, plain = (Serve(FCFS, watch=each).run(asked).outcome for each in (True, False))
    assert watched.finish.tolist() == plain.finish.tolist()


@pytest.mark.parametrize("gap", [1.0, 4.0, 30.0])
def test_the_load_that_is_borne_is_what_one_seat_can_do(gap: float) -> None:
    # Two seconds a request: above that rate the queue grows, and 99 % are late for any target.
    found = Find(FCFS).run(plan(every(gap, 400), target=10.0))
    capacity = gap / 2.0
    if capacity > 8.0:
        assert found.load >= 8.0
        return
    assert found.load <= capacity * 1.05 <= found.beyond * 1.05
    assert found.beyond / found.load <= 1.04 + 1e-9


def test_a_target_that_nobody_can_keep_is_borne_at_no_load() -> None:
    assert Find(FCFS).run(plan(every(4.0, 100), target=0.5)).load == 0.0


@settings(max_examples=15)
@given(st.integers(0, 1000), st.floats(0.3, 3.0), st.floats(1.0, 30.0))
def test_ending_early_says_what_the_whole_run_says(seed: int, rate: float, target: float) -> None:
    rng = np.random.default_rng(seed)
    arrival = np.sort(rng.uniform(0, 60 / rate, 60))
    workload = Workload(
        arrival - arrival[0], rng.integers(1, 60, 60), rng.integers(1, 9, 60), name="random"
    )
    asked = plan(workload, seats=3, target=target)
    outcome = Serve(FCFS).run(asked).outcome
    late = outcome.first - workload.arrival > target
    assert Find(FCFS)._bears(asked, 1.0, target) == (late.sum() <= 0.01 * 60)


def test_requests_that_all_come_at_once_have_no_load() -> None:
    workload = Workload(np.zeros(3), np.full(3, 4), np.full(3, 2), name="burst")
    with pytest.raises(UserError, match="burst does not say when its requests came"):
        plan(workload).check()


def test_unknown_predictors_are_refused(traffic: Callable[..., Workload]) -> None:
    asked = replace(plan(traffic(20, 1.0)), contenders=(FCFS, Contender("sjf", "magic")))
    with pytest.raises(UserError, match="unknown predictor 'magic'"):
        asked.check()
