import pytest

from lengthwise.errors import UserError
from lengthwise.padded import SYSTEMS, Constants, Limits, make_system
from lengthwise.padded.base import Batch


def test_a_batch_is_padded_to_its_longest(request_of):
    batch = Batch([request_of(10), request_of(3, generated=9), request_of(4)])
    assert (batch.length, batch.padding) == (12, 10)


def test_halves_have_all_members_and_the_slice(request_of):
    one, other = Batch([request_of(i + 1, seq=i) for i in range(5)], slice=8).halves()
    assert [r.seq for r in one.requests + other.requests] == list(range(5))
    assert (one.slice, other.closed) == (8, True)


def test_the_safe_size_is_what_memory_holds_of_the_longest(limits):
    assert limits(memory=4000, longest=900).safe_size == 4


@pytest.mark.parametrize(("instances", "memory"), [(0, 4000), (1, 999)])
def test_instances_that_cannot_serve_are_refused(time, instances, memory):
    with pytest.raises(UserError):
        Limits(instances, memory, 1000, time)


def test_constants_are_read_from_a_line():
    assert Constants.parse("slice=64,gamma=0.5") == Constants(slice=64, gamma=0.5)
    assert Constants.parse("") == Constants()


@pytest.mark.parametrize("text", ["slices=3", "slice=x", "slice=0", "zeta=1.5", "gamma=nan", "phi"])
def test_bad_constants_are_refused(text):
    with pytest.raises(UserError):
        Constants.parse(text)


def test_every_system_has_the_name_it_is_called_by(limits):
    assert [make_system(name, limits(), Constants()).name for name in SYSTEMS] == list(SYSTEMS)
    with pytest.raises(UserError, match="choose from"):
        make_system("fcfs", limits(), Constants())
