import math
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.padded import Constants, Ran, make_system
from lengthwise.padded.base import Batch
from lengthwise.padded.scls import Adaptive, RoundRobin, max_min

ESTIMATES = st.lists(st.floats(0.1, 100.0), min_size=1, max_size=6)


def timed(seconds):
    return [Batch([], estimate=each) for each in seconds]


def ends(batches, chosen, loads):
    loads = list(loads)
    for batch, instance in zip(batches, chosen, strict=True):
        loads[instance] += batch.estimate
    return loads


@given(ESTIMATES, st.integers(1, 3))
def test_longest_first_ends_within_grahams_bound_of_the_best(seconds, instances):
    batches, idle = timed(seconds), [0.0] * instances
    last = max(ends(batches, max_min(batches, idle), idle))
    everywhere = product(range(instances), repeat=len(seconds))
    best = min(max(ends(batches, chosen, idle)) for chosen in everywhere)
    assert last <= (4 / 3 - 1 / (3 * instances)) * best + 1e-9


def test_a_loaded_instance_gets_less():
    assert max_min(timed([3.0, 1.0, 2.0]), [5.0, 0.0]) == [1, 0, 1]


def test_in_turn_goes_on_where_it_was():
    place = RoundRobin()
    assert place(timed([1.0] * 3), [0.0, 0.0]) == [0, 1, 0]
    assert place(timed([1.0] * 2), [0.0, 0.0]) == [1, 0]


def test_the_interval_follows_the_least_load_but_has_a_floor():
    interval = Adaptive(share=0.5, gamma=3.0)
    assert interval([20.0, 8.0]) == 4.0
    assert interval([20.0, 0.0]) == 3.0


@pytest.fixture
def scls(limits):
    def make(name="scls", instances=2, **constants):
        given = {"slice": 32, "gamma": 3.0, **constants}
        return make_system(name, limits(instances), Constants(**given))

    return make


def test_a_round_batches_all_that_waits_and_the_next_waits_for_its_time(scls, request_of):
    system = scls()
    system.add(request_of(20, seq=0), 0.0)
    assert len(system.assign(0.0, [0, 1])) == 1
    system.add(request_of(20, seq=1), 1.0)
    assert system.assign(1.0, [1]) == []
    assert system.wake(1.0) == 3.0
    assert len(system.assign(3.0, [1])) == 1
    assert system.wake(3.0) == math.inf


def test_batches_fit_a_share_of_the_memory_with_their_slice(scls, request_of):
    system = scls(instances=1, zeta=0.5)
    for seq in range(30):
        system.add(request_of(168, seq=seq), 0.0)
    sizes = []
    while assigned := system.assign(0.0, [0]):
        sizes.append(len(assigned[0][1]))
    assert sum(sizes) == 30
    assert max(sizes) <= 0.5 * 4000 / (168 + 32)


def test_similar_lengths_alone_keep_the_fixed_size(scls, request_of):
    system = scls("sls+similar", instances=1, size=4)
    for seq in range(9):
        system.add(request_of(20, seq=seq), 0.0)
    ((_, batch),) = system.assign(0.0, [0])
    assert len(batch) <= 4


def test_a_batch_that_returned_is_no_load(scls, request_of):
    system = scls(instances=2)
    system.add(request_of(500, seq=0), 0.0)
    ((instance, batch),) = system.assign(0.0, [0, 1])
    system.ran(instance, batch, Ran(1.0, 32, [32], [True]))
    system.add(request_of(20, seq=1), 5.0)
    ((again, _),) = system.assign(5.0, [0, 1])
    assert again == instance == 0


def test_halves_are_served_where_their_batch_ran(scls, request_of):
    system = scls(instances=2)
    for seq in range(4):
        system.add(request_of(20, seq=seq), 0.0)
    ((instance, batch),) = system.assign(0.0, [0])
    system.ran(instance, batch, Ran(1.0, 3, [0] * 4, [False] * 4, out_of_memory=True))
    system.split(instance, batch)
    sizes = [len(system.assign(1.0, [instance])[0][1]) for _ in range(2)]
    assert sizes == [2, 2]
