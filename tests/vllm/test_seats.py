"""Properties of the seating, on a stand-in for vLLM's scheduler state."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.queue import RankQueue
from lengthwise.core.request import Request
from lengthwise.policies import make_policy
from lengthwise.vllm.seats import PAUSED_PER_SEAT, Seats

SEATS = 3
BLOCK = 8


@dataclass(eq=False)
class Running:
    """What the seating reads and sets of a vLLM request."""

    request_id: str
    num_tokens: int
    num_output_tokens: int = 0
    status: str = "waiting"


@dataclass(eq=False)
class Engine:
    """vLLM's side of the bargain: a waiting queue, running requests, blocks."""

    blocks: int
    policy: Any
    views: dict[str, Request] = field(default_factory=dict)
    running: list[Any] = field(default_factory=list)
    status_blocked: bool = False

    def __post_init__(self) -> None:
        self.max_num_active_reqs = self.max_num_running_reqs = SEATS
        self.max_num_scheduled_tokens = 64
        self.seats: Any = None
        self.use_v2_model_runner = False
        self.kv_holding_waiting: list[Any] = []
        self.kv_cache_config = SimpleNamespace(kv_cache_groups=[0])
        self.block_size, self.max_model_len = BLOCK, 10_000
        self.held: dict[str, int] = {}
        self.waiting = Waiting(
            RankQueue(lambda r: self.policy.rank(self.views[r.request_id]), self.seq)
        )
        self.kv_cache_manager = SimpleNamespace(
            watermark_blocks=0,
            block_pool=SimpleNamespace(get_num_free_blocks=self.free),
            get_blocks=lambda i: SimpleNamespace(blocks=[[0] * self.held.get(i, 0)]),
        )
        self.evicted: list[str] = []
        self.victims_beside_paused = 0

    def seq(self, request: Any) -> int:
        return self.views[request.request_id].seq

    def free(self) -> int:
        return self.blocks - sum(self.held.values())

    def _is_blocked_waiting_status(self, status: str) -> bool:
        return False

    def arrive(self, i: int, predicted: float | None, prompt: int) -> None:
        view = Request(f"r{i}", float(i), i, prompt)
        view.predict(predicted)
        self.views[view.id] = view
        request = Running(view.id, prompt)
        self.waiting.prepend_requests([request])

    def evict(self, request: Any) -> None:
        self.held.pop(request.request_id)
        self.seats.forget(request)
        self.evicted.append(request.request_id)
        self.waiting.prepend_requests([request])

    def step(self) -> None:
        """As vLLM does: blocks for those who run, victims from the tail, then admission."""
        for request in list(self.running):
            while request in self.running and self.lacks(request) > self.free():
                self.victims_beside_paused += bool(self.seats._paused)
                self.evict(self.running.pop())
            if request in self.running:
                self.held[request.request_id] += max(self.lacks(request), 0)
        while self.waiting and len(self.running) < self.max_num_active_reqs:
            request = self.waiting.peek_request()
            if self.lacks(request) > self.free():
                break
            self.running.append(self.waiting.pop_request())
            self.held[request.request_id] = self.lacks(request)
            self.views[request.request_id].started = True
        for request in self.running:
            request.num_tokens += 1
            request.num_output_tokens += 1
        self.seats.rejoin()
        for request in list(self.running):
            if request.num_output_tokens >= 40:
                self.finish(request)

    def lacks(self, request: Any) -> int:
        return -(-(request.num_tokens + 1) // BLOCK) - self.held.get(request.request_id, 0)

    def finish(self, request: Any) -> None:
        """Finished or aborted: vLLM drops it from its list and frees it."""
        self.running.remove(request)
        self.held.pop(request.request_id)
        self.seats.forget(request)


class Waiting:
    """The four calls of vLLM's queue that the seating uses."""

    def __init__(self, ranked: RankQueue[Any]) -> None:
        self.ranked = ranked

    def __bool__(self) -> bool:
        return len(self.ranked) > 0

    def __iter__(self) -> Any:
        return iter(self.ranked)

    def peek_request(self) -> Any:
        return self.ranked.peek()

    def pop_request(self) -> Any:
        return self.ranked.pop()

    def prepend_requests(self, requests: list[Any]) -> None:
        for request in requests:
            self.ranked.push(request)


arrivals = st.lists(
    st.tuples(
        st.integers(0, 3),  # steps until the next arrival
        st.one_of(st.none(), st.floats(1, 400)),
        st.integers(1, 60),
    ),
    min_size=1,
    max_size=25,
)


def play(engine: Engine, seats: Seats, plan: list[Any]) -> Any:
    """Arrivals and steps in turn; yields before each step, after the seating."""
    engine.seats = seats
    for i, (gap, predicted, prompt) in enumerate(plan):
        engine.arrive(i, predicted, prompt)
        for _ in range(gap):
            before = {r.request_id for r in engine.running} - paused(seats)
            seats.arrange()
            yield before
            engine.step()


def paused(seats: Seats) -> set[str]:
    return {request.request_id for _, request in seats._paused}


@settings(max_examples=150, deadline=None)
@given(arrivals, st.sampled_from(["sprpt", "trail:0", "trail:0.5", "trail:1"]))
def test_seats_go_to_the_best_and_are_never_idle(plan: Any, name: str) -> None:
    policy = make_policy(name)
    engine = Engine(10_000, policy)
    seats = Seats(engine, policy, engine.views, pause=True, margin=0.0)
    for before in play(engine, seats, plan):
        active = engine.running
        assert len(active) <= SEATS
        open_seats = SEATS - len(active)
        outside = len(list(engine.waiting)) + len(paused(seats))
        # Work conservation: what vLLM is left to admit, and who sits, fill the seats.
        assert len(active) + min(open_seats, len(list(engine.waiting))) == min(
            SEATS, len(active) + outside
        )
        assert not engine.evicted
        assert len(paused(seats)) <= PAUSED_PER_SEAT * SEATS
        for request_id in before - {r.request_id for r in active}:
            view = engine.views[request_id]
            assert policy.preemptible(view), "a committed request lost its seat"
        if len(paused(seats)) < PAUSED_PER_SEAT * SEATS and len(active) == SEATS:
            views = [engine.views[i] for i in paused(seats)]
            views += [engine.views[r.request_id] for r in list(engine.waiting)[:1]]
            best = min((policy.rank(v) for v in views if policy.may_preempt(v)), default=math.inf)
            for request in active:
                view = engine.views[request.request_id]
                assert policy.rank(view) <= best or not policy.preemptible(view)


@settings(max_examples=150, deadline=None)
@given(arrivals, st.integers(14, 40), st.booleans())
def test_scarce_memory_is_never_overdrawn_and_nobody_is_lost(
    plan: Any, blocks: int, pause: bool
) -> None:
    policy = make_policy("trail")
    engine = Engine(blocks, policy)
    seats = Seats(engine, policy, engine.views, pause=pause, margin=8.0)
    arrived = 0
    for _ in play(engine, seats, plan):
        assert engine.free() >= 0
        assert len(engine.running) <= SEATS
        assert pause or not paused(seats)
        known = {r.request_id for r in engine.running} | {r.request_id for r in engine.waiting}
        known |= paused(seats)
        finished = {i for i, v in engine.views.items() if v.started and i not in known}
        arrived = max(arrived, len(engine.views))
        assert len(known) + len(finished) == arrived
    for _ in range(40 * len(plan) + 40):
        seats.arrange()
        engine.step()
    assert not engine.running
    assert not engine.waiting
    assert not engine.victims_beside_paused, "an active request fell while a paused one kept its"


@settings(max_examples=100, deadline=None)
@given(arrivals, st.data())
def test_an_aborted_request_leaves_no_trace(plan: Any, data: Any) -> None:
    policy = make_policy("trail")
    engine = Engine(10_000, policy)
    seats = Seats(engine, policy, engine.views, pause=True, margin=0.0)
    aborted: set[str] = set()
    for _ in play(engine, seats, plan):
        assert not aborted & (paused(seats) | {r.request_id for r in engine.running})
        engine.step()
        if engine.running:
            gone = data.draw(st.sampled_from(engine.running))
            engine.finish(gone)
            aborted.add(gone.request_id)
        seats.arrange()
