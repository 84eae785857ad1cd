from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lengthwise import policies
from lengthwise.core import Policy, Request
from lengthwise.policies import SJF, SPRPT, Trail
from lengthwise.theory import (
    FCFS,
    PSJF,
    ExponentialPredictions,
    JointDensity,
    LimitedSPRPT,
    ObservedPairs,
    PerfectPredictions,
    simulate,
    spjf,
    sprpt,
    srpt,
)
from lengthwise.theory.single_server import serve


class PreemptiveSJF(Policy):
    """Ranks by the first prediction at every age."""

    name = "psjf"
    source: ClassVar = "prompt"
    preemptive = True

    def rank(self, request):
        return request.initial

    def preemptible(self, request):
        return True


def tick_by_tick(policy, arrivals, sizes, predictions):
    """The same server with neither events nor queue: one token at a time."""
    waiting, running, finished, held = [], None, {}, [0] * len(sizes)
    requests, now = [], 0
    while len(finished) < len(sizes):
        if running and running.generated == sizes[running.seq]:
            finished[running.seq], running = now, None
        if not running and waiting:
            running = min(waiting, key=lambda r: (policy.rank(r), r.seq))
            waiting.remove(running)
        while len(requests) < len(sizes) and arrivals[len(requests)] == now:
            new = Request("", now, len(requests), 0)
            new.predict(predictions[new.seq])
            requests.append(new)
            if running and not (
                policy.preemptive
                and policy.preemptible(running)
                and policy.rank(new) < policy.rank(running)
            ):
                waiting.append(new)
                continue
            if running:
                running.preemptions += 1
                waiting.append(running)
            running = new
            running.started = True
        for request in waiting:
            held[request.seq] += 2 * request.generated
        if running:
            running.started = True
            held[running.seq] += 2 * running.generated + 1
            running.generated += 1
        now += 1
    return [finished[seq] for seq in range(len(sizes))], [r.preemptions for r in requests], held


JOBS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(1, 12), st.floats(0.5, 15.0)), min_size=1, max_size=25
)
POLICIES = [policies.FCFS(), SJF(), SPRPT(), PreemptiveSJF(), *map(Trail, (0.0, 0.3, 0.8, 1.0))]


@settings(max_examples=150)
@given(JOBS, st.sampled_from(POLICIES))
def test_events_and_ticks_agree(jobs, policy):
    gaps, sizes, predictions = zip(*jobs, strict=True)
    arrivals = np.cumsum(gaps).tolist()
    trace = serve(policy, arrivals, sizes, predictions)
    expected = tick_by_tick(policy, arrivals, sizes, predictions)
    assert (trace.finished, trace.preemptions, trace.held) == expected


def test_a_schedule_by_hand():
    """At C = 1/2 the first of 10 is interrupted at age 4 < 5; the third comes too late."""
    trace = serve(Trail(0.5), [0, 4, 8], [10, 3, 1], [10.0, 3.0, 1.0])
    assert trace.finished == [13, 7, 14]
    assert trace.preemptions == [1, 0, 0]
    assert trace.held == [10 * 10 + 2 * 4 * 3, 3 * 3, 1]


@pytest.mark.parametrize("policy", POLICIES[1:], ids=lambda policy: policy.name)
def test_every_policy_is_busy_at_the_same_times(policy):
    rng = np.random.default_rng(5)
    arrivals = np.cumsum(rng.integers(0, 21, 400)).tolist()
    sizes = rng.integers(1, 20, 400).tolist()
    predictions = rng.uniform(1, 20, 400).tolist()
    last = max(serve(policy, arrivals, sizes, predictions).finished)
    assert last == max(serve(policies.FCFS(), arrivals, sizes, predictions).finished)


def agree(queue, measured):
    """Within three standard errors, which must be small enough to say something."""
    for theory, estimate in zip(queue.means, measured, strict=True):
        assert abs(estimate.mean - theory) <= 3 * estimate.error + 1e-9
    assert 0 < measured.response.error < 0.05 * measured.response.mean


EXP = stats.expon()
LOGNORMAL_NOISE = stats.lognorm(0.6)


@pytest.mark.parametrize("c", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("law", [PerfectPredictions, ExponentialPredictions])
def test_simulation_agrees_for_exponential_sizes(law, c):
    joint = law(EXP)
    agree(LimitedSPRPT(0.7, joint, c), simulate(Trail(c), joint, 0.7, 100_000, seed=1))


@pytest.mark.parametrize(
    "sizes", [stats.uniform(0, 2), stats.weibull_min(0.5, scale=0.5), stats.lognorm(1.0)]
)
@pytest.mark.parametrize("law", [PerfectPredictions, ExponentialPredictions])
def test_simulation_agrees_for_other_sizes(law, sizes):
    joint = law(sizes)
    rate = 0.6 / sizes.mean()
    agree(LimitedSPRPT(rate, joint, 0.6), simulate(Trail(0.6), joint, rate, 100_000, seed=2))


def test_simulation_agrees_at_high_load():
    joint = ExponentialPredictions(EXP)
    agree(LimitedSPRPT(0.9, joint, 0.8), simulate(Trail(0.8), joint, 0.9, 200_000, seed=3))


def test_simulation_agrees_for_a_density_by_function():
    joint = JointDensity(
        lambda x, y: np.exp(-x) * LOGNORMAL_NOISE.pdf(y / x) / x, (1e-9, 40.0), (1e-10, 900.0)
    )
    agree(LimitedSPRPT(0.8, joint, 0.4), simulate(Trail(0.4), joint, 0.8, 100_000, seed=4))


@pytest.mark.parametrize("c", [0.0, 0.7, 1.0])
def test_simulation_agrees_for_a_sample_full_of_ties(c):
    """Ten sizes in three bins: the order among equals matters, and it is that of arrival."""
    joint = ObservedPairs(np.arange(1.0, 11.0), np.repeat([2.0, 5.0, 9.0], [3, 4, 3]))
    agree(LimitedSPRPT(0.14, joint, c), simulate(Trail(c), joint, 0.14, 100_000, seed=5))


def test_simulation_agrees_for_the_other_disciplines():
    joint, rate, jobs = ExponentialPredictions(EXP), 0.7, 100_000
    agree(FCFS(rate, joint), simulate(policies.FCFS(), joint, rate, jobs, seed=6))
    agree(spjf(rate, joint), simulate(SJF(), joint, rate, jobs, seed=7))
    agree(sprpt(rate, joint), simulate(SPRPT(), joint, rate, jobs, seed=8))
    agree(PSJF(rate, joint), simulate(PreemptiveSJF(), joint, rate, jobs, seed=9))
    agree(srpt(rate, EXP), simulate(SPRPT(), PerfectPredictions(EXP), rate, jobs, seed=10))


def test_the_same_seed_measures_the_same():
    joint = PerfectPredictions(EXP)
    one, same, other = (simulate(Trail(0.5), joint, 0.5, 2_000, seed) for seed in (1, 1, 2))
    assert one == same != other


def test_too_few_jobs_or_too_much_load_are_refused():
    joint = PerfectPredictions(EXP)
    with pytest.raises(ValueError, match="at least 1000 jobs"):
        simulate(Trail(0.5), joint, 0.5, 999)
    with pytest.raises(ValueError, match="load"):
        simulate(Trail(0.5), joint, 1.0, 5_000)
