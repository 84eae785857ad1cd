import pytest

from lengthwise.padded.base import Batch
from lengthwise.padded.fixed import Fixed


@pytest.fixture
def queued(request_of):
    def make(system, n):
        for i in range(n):
            system.add(request_of(10, seq=i), 0.0)
        return system

    return make


def members(assigned):
    return {instance: [request.seq for request in batch.requests] for instance, batch in assigned}


def test_an_idle_instance_takes_the_first_so_many(queued):
    system = queued(Fixed("vanilla", 3), 7)
    assert members(system.assign(0.0, [0, 1])) == {0: [0, 1, 2], 1: [3, 4, 5]}
    assert members(system.assign(0.0, [0, 1])) == {0: [6]}
    assert system.assign(0.0, [0, 1]) == []


def test_sls_gives_requests_to_instances_in_turn(queued):
    system = queued(Fixed("sls", 3, queues=2), 7)
    assert members(system.assign(0.0, [1])) == {1: [1, 3, 5]}
    assert members(system.assign(0.0, [1])) == {}
    assert members(system.assign(0.0, [0])) == {0: [0, 2, 4]}


def test_slices_are_on_the_batch(queued):
    ((_, batch),) = queued(Fixed("sls+slices", 3, slice=64), 1).assign(0.0, [0])
    assert batch.slice == 64


def test_halves_go_first_and_are_closed(queued, request_of):
    system = queued(Fixed("vanilla", 3), 2)
    system.split(0, Batch([request_of(5, seq=i) for i in (7, 8, 9)]))
    ((_, first),) = system.assign(0.0, [0])
    assert first.closed
    assert [request.seq for request in first.requests] == [7]
    assert members(system.assign(0.0, [0])) == {0: [8, 9]}
