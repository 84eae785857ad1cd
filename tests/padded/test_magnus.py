import pytest

from lengthwise.padded import Constants, Ran, make_system
from lengthwise.padded.magnus import Magnus
from lengthwise.padded.wma import Waste


@pytest.fixture
def magnus(limits):
    def make(memory=4000, name="magnus", **constants):
        given = {"theta": 1.0, **constants}
        return make_system(name, limits(memory=memory), Constants(**given))

    return make


def ran(batch, seconds=1.0, steps=10):
    n = len(batch)
    return Ran(seconds, steps, [steps] * n, [True] * n)


def batches(system, now=0.0):
    """All that wait, as lists of sequence numbers, in the order they would go."""
    found = []
    while assigned := system.assign(now, [0]):
        ((_, batch),) = assigned
        system.ran(0, batch, ran(batch))
        found.append([request.seq for request in batch.requests])
    return found


def test_like_predictions_share_a_batch(magnus, request_of):
    system = magnus(phi=5000)
    for seq, predicted in enumerate([10, 300, 12, 290]):
        system.add(request_of(50, predicted, seq), 0.0)
    assert sorted(batches(system)) == [[0, 2], [1, 3]]


def test_who_would_waste_as_much_as_the_threshold_opens_a_batch(magnus, request_of):
    waste = Waste().joined(50, 10).joined(50, 60).worst
    for phi, expected in ((waste, 2), (waste + 1, 1)):
        system = magnus(phi=phi)
        system.add(request_of(50, 10, 0), 0.0)
        system.add(request_of(50, 60, 1), 0.0)
        assert len(batches(system)) == expected


def test_a_batch_holds_what_its_predicted_end_leaves_room_for(magnus, request_of):
    system = magnus(memory=1000)
    for seq in range(10):
        system.add(request_of(100, 150, seq), 0.0)
    assert sorted(map(len, batches(system))) == [2, 4, 4]


def test_theta_keeps_a_share_of_the_memory_free(magnus, request_of):
    system = magnus(memory=1000, theta=0.5)
    for seq in range(4):
        system.add(request_of(100, 150, seq), 0.0)
    assert [len(each) for each in batches(system)] == [2, 2]


def test_a_request_without_prediction_counts_as_the_longest(magnus, request_of):
    system = magnus(memory=2000)
    for seq in range(3):
        system.add(request_of(100, None, seq), 0.0)
    assert sorted(map(len, batches(system))) == [1, 2]


def test_the_highest_response_ratio_goes_next(magnus, request_of):
    system = magnus(phi=1)
    system.add(request_of(50, 500, 0, arrival=0.0), 0.0)
    system.add(request_of(50, 5, 1, arrival=8.0), 8.0)
    # At 10 s, of some 13 s and 0.1 s: 2 s of waiting for the short one is the more.
    assert batches(system, now=10.0) == [[1], [0]]


def test_without_it_the_oldest_goes_next(magnus, request_of):
    system = magnus(name="abp", phi=1)
    system.add(request_of(50, 500, 0, arrival=0.0), 0.0)
    system.add(request_of(50, 5, 1, arrival=8.0), 8.0)
    assert batches(system, now=10.0) == [[0], [1]]


def test_its_first_step_has_the_fixed_size(magnus, request_of):
    system = magnus(name="glp", size=2)
    for seq in range(5):
        system.add(request_of(50, 20, seq), 0.0)
    assert [len(each) for each in batches(system)] == [2, 2, 1]


def test_halves_of_a_batch_that_ran_out_of_memory_stay_closed(magnus, request_of):
    system = magnus()
    for seq in range(4):
        system.add(request_of(50, 20, seq), 0.0)
    ((_, batch),) = system.assign(0.0, [0])
    system.ran(0, batch, Ran(1.0, 3, [0] * 4, [False] * 4, out_of_memory=True))
    system.split(0, batch)
    system.add(request_of(50, 20, 4), 1.0)
    assert sorted(batches(system, 1.0)) == [[0, 1], [2, 3], [4]]


def test_it_learns_how_long_batches_take(limits, request_of):
    constants = Constants(neighbours=1, refresh=0.0, phi=1)
    system = Magnus("magnus", limits(), constants)
    for seq, (predicted, seconds) in enumerate([(5, 50.0), (500, 1.0)]):
        system.add(request_of(50, predicted, seq), 0.0)
        ((_, batch),) = system.assign(0.0, [0])
        system.ran(0, batch, ran(batch, seconds, predicted))
    system.add(request_of(50, 5, 2), 0.0)
    system.add(request_of(50, 500, 3), 0.0)
    assert batches(system, 10.0) == [[3], [2]]
