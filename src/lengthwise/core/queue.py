"""A queue ordered by rank, with lazy updates."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound=Hashable)

_Entry = tuple[Any, int, int]


class RankQueue(Generic[T]):
    """Priority queue by ``(rank, seq)``; push, pop, remove and update in O(log n).

    A changed or removed item leaves a dead entry in the heap, which is dropped when it
    reaches the top; the heap is rebuilt when most of it is dead, so memory stays O(n).
    A NaN rank counts as ``unknown`` (order of arrival, before the ranked).

    Args:
        rank: the item's rank now, a number or a tuple of them; read on push and on update
            only.
        seq: the item's order of arrival; breaks ties.
        unknown: rank that stands for NaN.
    """

    def __init__(
        self,
        rank: Callable[[T], Any],
        seq: Callable[[T], int],
        unknown: float = 0.0,
    ) -> None:
        self._rank = rank
        self._seq = seq
        self._unknown = unknown
        self._heap: list[_Entry] = []
        self._live: dict[T, int] = {}
        self._items: dict[int, T] = {}
        self._next_stamp = 0

    def push(self, item: T) -> None:
        """Add an item; raises ValueError if it is queued already."""
        if item in self._live:
            raise ValueError(f"already queued: {item!r}")
        self._insert(item)

    def update(self, item: T) -> None:
        """Read the item's rank again; raises KeyError if it is not queued."""
        self._forget(item)
        self._insert(item)

    def remove(self, item: T) -> None:
        """Take an item out; raises KeyError if it is not queued."""
        self._forget(item)

    def peek(self) -> T:
        """The item of smallest rank; raises IndexError if the queue is empty."""
        self._drop_dead()
        return self._items[self._heap[0][2]]

    def pop(self) -> T:
        """Remove and return the item of smallest rank; IndexError if empty."""
        item = self.peek()
        heapq.heappop(self._heap)
        del self._items[self._live.pop(item)]
        return item

    def take(self, item: T) -> None:
        """Remove an item for a seat, be it the first or not; KeyError if it is not queued."""
        self.remove(item)

    def fronts(self) -> Iterator[T]:
        """The first item, if there is any: all that :class:`Lanes` of one lane would give."""
        return iter([self.peek()] if self._live else [])

    def __len__(self) -> int:
        return len(self._live)

    def __contains__(self, item: object) -> bool:
        return item in self._live

    def __iter__(self) -> Iterator[T]:
        """Items in rank order; O(n log n)."""
        entries = sorted(entry for entry in self._heap if entry[2] in self._items)
        return iter([self._items[stamp] for _, _, stamp in entries])

    def in_order(self) -> Iterator[T]:
        """The same one by one, without sorting the others; the queue must not change meanwhile.

        The heap is walked from its top: what comes next is below what came already. O(k log k)
        for the first k items, as long as few entries are dead.
        """
        heap, ends = self._heap, [(self._heap[0], 0)] if self._heap else []
        while ends:
            (_, _, stamp), at = heapq.heappop(ends)
            for child in range(2 * at + 1, min(2 * at + 3, len(heap))):
                heapq.heappush(ends, (heap[child], child))
            if stamp in self._items:
                yield self._items[stamp]

    def _insert(self, item: T) -> None:
        rank = self._rank(item)
        if rank != rank:
            rank = self._unknown
        stamp = self._next_stamp
        self._next_stamp += 1
        self._live[item] = stamp
        self._items[stamp] = item
        heapq.heappush(self._heap, (rank, self._seq(item), stamp))

    def _forget(self, item: T) -> None:
        del self._items[self._live.pop(item)]
        if len(self._heap) > 64 and len(self._heap) > 2 * len(self._live):
            self._heap = [entry for entry in self._heap if entry[2] in self._items]
            heapq.heapify(self._heap)

    def _drop_dead(self) -> None:
        while self._heap and self._heap[0][2] not in self._items:
            heapq.heappop(self._heap)
        if not self._heap:
            raise IndexError("the queue is empty")
