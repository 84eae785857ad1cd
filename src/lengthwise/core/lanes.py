"""A queue that tells the policy what enters and exits, and lets keys move by themselves."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

from lengthwise.core.policy import Key, Policy
from lengthwise.core.queue import RankQueue
from lengthwise.core.request import Request

T = TypeVar("T", bound=Hashable)


_ASKED = 16
"""Most items that are asked about in one look, each of which may lose its place by it."""


class Lanes(Generic[T]):
    """Priority queue by ``(policy.key, seq)``, read at every look; as :class:`RankQueue`.

    Inside a lane the order never changes, so a look compares only the first requests of the
    lanes that are not empty: O(lanes + log n) for n waiting requests. Where nothing has changed
    since, not even the policy's ``version``, it finds what the last one did.

    Args:
        policy: gives lanes, places and keys; is told what enters and exits.
        view: what the policy sees of an item.
        asked: called with an item that has become the first; whether more is known of it since
            it was ranked. It is then ranked anew, and may be the first no more.
    """

    def __init__(
        self,
        policy: Policy,
        view: Callable[[T], Request],
        asked: Callable[[T], bool] = lambda item: False,
    ) -> None:
        self._policy = policy
        self._view = view
        self._ask = asked
        self._asked: T | None = None
        self._lanes: dict[Hashable, RankQueue[T]] = {}
        self._lane_of: dict[T, Hashable] = {}
        self._head: T | None = None
        self._seen: int | None = None

    def push(self, item: T) -> None:
        """Add an item; raises ValueError if it is queued already."""
        if item in self._lane_of:
            raise ValueError(f"already queued: {item!r}")
        # What the policy keeps of a request says in which lane it belongs.
        self._policy.enters(self._view(item))
        self._insert(item)

    def update(self, item: T) -> None:
        """Read the item's lane and place again; raises KeyError if it is not queued."""
        self.remove(item)
        self._policy.changes(self._view(item))
        self._insert(item)

    def remove(self, item: T) -> None:
        """Take an item out without serving it; raises KeyError if it is not queued."""
        lane = self._lane_of.pop(item)
        self._head = None
        self._lanes[lane].remove(item)
        if not self._lanes[lane]:
            del self._lanes[lane]

    def peek(self) -> T:
        """The item of smallest key now; raises IndexError if the queue is empty."""
        if not self._lanes:
            raise IndexError("the queue is empty")
        version = self._policy.version
        head = self._head
        if head is None or version is None or version != self._seen:
            head = self._look()
            for _ in range(_ASKED):
                if head is self._asked or not self._ask(head):
                    break
                self.update(head)
                self._asked, head = head, self._look()
            self._asked = self._head = head
            self._seen = self._policy.version
        return head

    def pop(self) -> T:
        """Remove and return the item of smallest key; IndexError if empty."""
        item = self.peek()
        self.take(item)
        return item

    def take(self, item: T) -> None:
        """Remove an item for a seat, be it the first or not; KeyError if it is not queued."""
        self.remove(item)
        self._policy.exits(self._view(item))

    def fronts(self) -> Iterator[T]:
        """The first item of every lane, by their keys now."""
        return iter(sorted((lane.peek() for lane in self._lanes.values()), key=self._order))

    def __len__(self) -> int:
        return len(self._lane_of)

    def __contains__(self, item: object) -> bool:
        return item in self._lane_of

    def __iter__(self) -> Iterator[T]:
        """Items by their keys now; O(n log n)."""
        return iter(sorted(self._lane_of, key=self._order))

    def in_order(self) -> Iterator[T]:
        """The same one by one, without sorting the others; the queue must not change meanwhile."""
        return heapq.merge(*(lane.in_order() for lane in self._lanes.values()), key=self._order)

    def _look(self) -> T:
        head = min([lane.peek() for lane in self._lanes.values()], key=self._order)
        while self._policy.shifted():
            self._shift()
            head = min([lane.peek() for lane in self._lanes.values()], key=self._order)
        return head

    def _shift(self) -> None:
        """The first of each lane moves to another if the policy says so, then the next one."""
        for lane, queue in list(self._lanes.items()):
            while queue:
                first = queue.peek()
                if self._policy.lane(self._view(first)) == lane:
                    break
                queue.remove(first)
                del self._lane_of[first]
                self._insert(first)
            if not queue and self._lanes.get(lane) is queue:
                del self._lanes[lane]

    def _insert(self, item: T) -> None:
        lane = self._policy.lane(self._view(item))
        if lane not in self._lanes:
            self._lanes[lane] = RankQueue(
                lambda each: self._policy.place(self._view(each)), lambda each: self._view(each).seq
            )
        self._lanes[lane].push(item)
        self._lane_of[item] = lane
        self._head = None

    def _order(self, item: T) -> tuple[Key, int]:
        view = self._view(item)
        return self._policy.key(view), view.seq


def waiting_queue(
    policy: Policy,
    view: Callable[[T], Request],
    asked: Callable[[T], bool] = lambda item: False,
) -> RankQueue[T] | Lanes[T]:
    """The queue that suits the policy: one heap, or lanes if keys move or the policy listens.

    Only lanes ask about their first item.
    """
    if policy.listens:
        return Lanes(policy, view, asked)
    return RankQueue(lambda item: policy.key(view(item)), lambda item: view(item).seq)
