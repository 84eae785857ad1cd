import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from lengthwise.core import COMMITTED, RankQueue

RANKS = st.one_of(
    st.sampled_from([math.nan, COMMITTED, math.inf, -1.0, 0.0, 1.0]),
    # Within what 16 bits hold: without bounds most draws do not fit and are thrown away.
    st.floats(-65504.0, 65504.0, width=16),
)


def queue_of(ranks, unknown=0.0):
    """Items are their own order of arrival; ``ranks`` may be changed afterwards."""
    queue = RankQueue(lambda item: ranks[item], lambda item: item, unknown)
    for item in ranks:
        queue.push(item)
    return queue


class QueueMachine(RuleBasedStateMachine):
    """The queue against a dictionary of the ranks it has read, sorted for every answer."""

    def __init__(self):
        super().__init__()
        self.ranks = {}
        self.read = {}
        self.queue = RankQueue(lambda item: self.ranks[item], lambda item: item // 2)
        self.arrived = 0

    def order(self):
        return sorted(self.read, key=self.read.__getitem__)

    def note(self, item):
        """Two neighbours share their seq: the push or update that came first goes first."""
        self.arrived += 1
        rank = self.ranks[item]
        self.read[item] = (0.0 if math.isnan(rank) else rank, item // 2, self.arrived)

    @rule(item=st.integers(0, 30), rank=RANKS)
    def push(self, item, rank):
        if item in self.read:
            with pytest.raises(ValueError, match="already queued"):
                self.queue.push(item)
        else:
            self.ranks[item] = rank
            self.queue.push(item)
            self.note(item)

    @rule(item=st.integers(0, 30), rank=RANKS)
    def update(self, item, rank):
        if item not in self.read:
            with pytest.raises(KeyError):
                self.queue.update(item)
        else:
            self.ranks[item] = rank
            self.queue.update(item)
            self.note(item)

    @rule(pick=st.integers(0, 30), rank=RANKS)
    def change_unread(self, pick, rank):
        """A rank is read on push and update only."""
        if self.read:
            self.ranks[sorted(self.read)[pick % len(self.read)]] = rank

    @rule(item=st.integers(0, 30))
    def remove(self, item):
        if item not in self.read:
            with pytest.raises(KeyError):
                self.queue.remove(item)
        else:
            self.queue.remove(item)
            del self.read[item]

    @rule()
    def pop(self):
        if not self.read:
            with pytest.raises(IndexError):
                self.queue.pop()
        else:
            first = self.order()[0]
            assert self.queue.peek() == first
            assert self.queue.pop() == first
            del self.read[first]

    @invariant()
    def same_as_the_model(self):
        assert list(self.queue) == list(self.queue.in_order()) == self.order()
        assert len(self.queue) == len(self.read)
        assert all((item in self.queue) == (item in self.read) for item in range(31))


QueueMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
test_queue_machine = QueueMachine.TestCase


def test_ties_go_by_arrival_whatever_the_order_of_pushes():
    queue = queue_of({3: 1.0, 1: 1.0, 2: 1.0, 0: 2.0})
    assert [queue.pop() for _ in range(4)] == [1, 2, 3, 0]


def test_nan_counts_as_unknown_in_order_of_arrival():
    queue = queue_of({0: 5.0, 1: math.nan, 2: -1.0, 3: math.nan}, unknown=0.0)
    assert list(queue) == [2, 1, 3, 0]
    queue = queue_of({0: 5.0, 1: math.nan, 2: 9.0, 3: math.nan}, unknown=7.0)
    assert list(queue) == [0, 1, 3, 2]


def test_a_nan_that_becomes_a_number_and_back_moves():
    ranks = {0: math.nan, 1: 3.0}
    queue = queue_of(ranks)
    ranks[0] = 4.0
    queue.update(0)
    assert list(queue) == [1, 0]
    ranks[0] = math.nan
    queue.update(0)
    assert list(queue) == [0, 1]


def test_a_popped_item_can_come_back():
    queue = queue_of({0: 1.0, 1: 2.0})
    assert queue.pop() == 0
    queue.push(0)
    assert list(queue) == [0, 1]


def test_an_empty_queue_says_so():
    queue = queue_of({0: 1.0})
    queue.remove(0)
    for look in (queue.peek, queue.pop):
        with pytest.raises(IndexError, match="empty"):
            look()


def test_iteration_leaves_the_queue_as_it_is():
    queue = queue_of({0: 2.0, 1: 1.0})
    assert list(queue) == list(queue) == [1, 0]
    assert len(queue) == 2


def entries(queue):
    return len(queue._heap)


def test_memory_stays_linear_when_ranks_change_again_and_again():
    ranks = dict.fromkeys(range(100), 0.0)
    queue = queue_of(ranks)
    for step in range(20_000):
        item = step % 100
        ranks[item] = float((step * 37) % 1009)
        queue.update(item)
    assert entries(queue) <= 2 * 100 + 1
    assert list(queue) == sorted(ranks, key=lambda item: (ranks[item], item))


def test_memory_stays_linear_when_items_come_and_leave_behind_the_first():
    """Clients that hang up: removed without ever being at the front."""
    queue = RankQueue(float, int)
    queue.push(-1)
    for item in range(5000):
        queue.push(item)
        queue.remove(item)
    assert list(queue) == [-1]
    assert entries(queue) < 200
