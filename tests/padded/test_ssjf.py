import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.padded import Constants, Limits, SliceTime, make_system
from lengthwise.padded.ssjf import SSJF

TIME = SliceTime((0, 0, 0, 1), (0, 0, 0, 1))


def queued(system, rows):
    """Requests of (arrival, prediction), added in this order."""
    for seq, (arrival, predicted) in enumerate(rows):
        request = Request(str(seq), arrival, seq, 10)
        request.predict(predicted)
        system.add(request, arrival)
    return system


def batches(system):
    """All that wait, as lists of sequence numbers, in the order they would go."""
    found = []
    while assigned := system.assign(0.0, [0]):
        found += [[request.seq for request in batch.requests] for _, batch in assigned]
    return found


def test_a_batch_is_of_those_predicted_shortest():
    system = queued(SSJF("ssjf", 2, 0.0), [(0.0, 90.0), (0.0, 10.0), (0.0, 50.0), (0.0, 20.0)])
    assert batches(system) == [[1, 3], [2, 0]]


def test_an_idle_instance_does_not_wait_for_more():
    assert batches(queued(SSJF("ssjf", 4, 0.0), [(0.0, 90.0)])) == [[0]]


def test_a_second_of_waiting_counts_as_so_many_tokens():
    rows = [(0.0, 90.0), (5.0, 60.0)]
    assert batches(queued(SSJF("ssjf", 1, 0.0), rows)) == [[1], [0]]
    assert batches(queued(SSJF("ssjf", 1, 10.0), rows)) == [[0], [1]]


rows = st.lists(st.tuples(st.floats(0, 90), st.floats(1, 500)), max_size=30)


@given(rows, st.integers(1, 5), st.floats(0, 20))
def test_everybody_is_in_one_batch_in_the_order_of_ssjf(rows, size, ageing):
    order = sorted(range(len(rows)), key=lambda i: (rows[i][1] + ageing * rows[i][0], i))
    expected = [order[at : at + size] for at in range(0, len(order), size)]
    assert batches(queued(SSJF("ssjf", size, ageing), rows)) == expected


@given(rows, st.integers(1, 5))
def test_without_predictions_it_is_vanilla(rows, size):
    limits, constants = Limits(1, 100, 50, TIME), Constants(size=size)
    unknown = [(arrival, None) for arrival, _ in sorted(rows)]
    one, other = (make_system(name, limits, constants) for name in ("vanilla", "ssjf"))
    assert batches(queued(one, unknown)) == batches(queued(other, unknown))


def test_its_ageing_is_a_constant():
    rows = [(0.0, 90.0), (5.0, 60.0)]
    for ageing, first in (("0", 1), ("10", 0)):
        constants = Constants.parse(f"size=1,ageing={ageing}")
        system = make_system("ssjf", Limits(1, 100, 50, TIME), constants)
        assert batches(queued(system, rows))[0] == [first]
    with pytest.raises(UserError, match="ageing must be at least 0"):
        Constants.parse("ageing=-1")
