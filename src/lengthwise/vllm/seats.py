"""Who sits in the engine's seats: pause, evict and resume running requests by rank."""

from __future__ import annotations

import sys
from bisect import insort
from typing import Any

from lengthwise.core.policy import Policy
from lengthwise.core.request import Request
from lengthwise.vllm.costs import COSTS

_PAUSED = sys.maxsize
"""``next_decode_eligible_step`` of a paused request: vLLM passes it over."""

PAUSED_PER_SEAT = 2
"""Most paused requests to a seat. Among thousands waiting some prompt always promises to
be shorter than what runs; without a bound each would be prefilled, found longer, and
paused in turn, and every step would look through them all."""

_FIRST = 0
_ANY = sys.maxsize


class Seats:
    """Keeps vLLM's ``running`` list in the policy's order.

    A request that loses its seat is paused: it stays in ``running``, is not scheduled
    and keeps its KV cache. Paused requests stand at the tail of ``running``, worst
    rank last, which is where vLLM takes its victims when memory runs out.
    """

    def __init__(
        self, scheduler: Any, policy: Policy, views: dict[str, Request], pause: bool, margin: float
    ) -> None:
        self._scheduler = scheduler
        self._policy = policy
        self._views = views
        self._margin = margin
        self._seats: int = scheduler.max_num_active_reqs
        self._pausing = pause
        # The V2 runner keeps a slot for each running request; V1 only for scheduled ones.
        self._slots = scheduler.max_num_running_reqs if scheduler.use_v2_model_runner else _ANY
        scheduler.max_num_running_reqs = self._slots

    def arrange(self) -> None:
        """Give the seats to the best ranks, before vLLM schedules the step."""
        scheduler = self._scheduler
        active: list[tuple[float, Any]] = []
        paused: list[tuple[float, Any]] = []
        for request in scheduler.running:
            if _is_paused(request):
                # It generates nothing, so its rank is the one it lost its seat with.
                paused.append((request.lengthwise_rank, request))
                continue
            view = self._view(request)
            view.generated = request.num_output_tokens
            active.append((self._policy.rank(view), request))
        if not paused and not scheduler.waiting and self._free_blocks() > len(active):
            return
        active.sort(key=_rank)
        paused.sort(key=_rank)
        heads = _Heads(scheduler, self._policy, self._views)
        self._fill(active, paused, heads)
        self._swap(active, paused, heads)
        self._make_room(heads.promised, paused)
        heads.put_back()
        active.sort(key=_rank)
        scheduler.running = [request for _, request in active] + [request for _, request in paused]
        scheduler.max_num_active_reqs = self._seats + len(paused)

    def _fill(self, active: list[Any], paused: list[Any], heads: _Heads) -> None:
        """Free seats go to the best of the paused and the waiting."""
        while len(active) + heads.seated < self._seats:
            if heads.best and (not paused or heads.rank < paused[0][0]):
                if self._fits(heads, paused):
                    heads.seat(self._blocks_needed(heads.best))
                else:
                    # Memory, not seats, is short: smaller ranks wait for it.
                    heads.close()
            elif paused:
                self._resume(active, paused)
            else:
                return

    def _swap(self, active: list[Any], paused: list[Any], heads: _Heads) -> None:
        """Better ranks outside take the seats of worse ones that may be interrupted."""
        victims = [pair for pair in active if self._policy.preemptible(self._view(pair[1]))]
        while victims:
            enter = heads.may_preempt and len(paused) < PAUSED_PER_SEAT * self._seats
            outside = min(heads.rank if enter else _NOBODY, _first_rank(paused))
            victim = victims[-1]
            if outside + self._margin >= victim[0]:
                return
            if outside == _first_rank(paused):
                self._resume(active, paused)
            elif self._fits(heads, [*paused, victim]):
                heads.seat(self._blocks_needed(heads.best))
            else:
                heads.close()
                continue
            active.remove(victims.pop())
            self._stand_up(victim, paused, heads)

    def _stand_up(self, pair: tuple[float, Any], paused: list[Any], heads: _Heads) -> None:
        """Pause a request, or discard its KV cache where it cannot be paused."""
        rank, victim = pair
        self._view(victim).preemptions += 1
        if not self._pausing or len(self._scheduler.running) + heads.seated > self._slots:
            self._evict(victim)
            return
        COSTS.pauses += 1
        victim.next_decode_eligible_step = _PAUSED
        victim.lengthwise_rank = rank
        insort(paused, pair, key=_rank)

    def _resume(self, active: list[Any], paused: list[Any]) -> None:
        rank, request = paused.pop(0)
        self._sit_down(rank, request, active)

    def _sit_down(self, rank: float, request: Any, active: list[Any]) -> None:
        request.next_decode_eligible_step = _FIRST
        active.append((rank, request))

    def _fits(self, heads: _Heads, outside: list[Any]) -> bool:
        """Whether the best waiting request's blocks are free or held by worse ranks."""
        blocks_of = self._scheduler.kv_cache_manager.get_blocks
        worse = [request for rank, request in outside if rank > heads.rank]
        held = sum(len(group) for r in worse for group in blocks_of(r.request_id).blocks)
        needed = heads.promised + self._blocks_needed(heads.best)
        return needed <= self._free_blocks() + held

    def _make_room(self, blocks: int, paused: list[Any]) -> None:
        """Evict the worst paused requests until what was promised is free."""
        while paused and self._free_blocks() < blocks:
            self._evict(paused.pop()[1])

    def _free_blocks(self) -> int:
        return int(self._scheduler.kv_cache_manager.block_pool.get_num_free_blocks())

    def _blocks_needed(self, request: Any) -> int:
        scheduler = self._scheduler
        groups = len(scheduler.kv_cache_config.kv_cache_groups)
        tokens = min(request.num_tokens + 1, scheduler.max_model_len)
        blocks = -(-tokens // scheduler.block_size) * groups
        return int(blocks + scheduler.kv_cache_manager.watermark_blocks)

    def _evict(self, request: Any) -> None:
        """Discard its KV cache; it waits again and recomputes (vLLM's own preemption)."""
        self._scheduler.running.remove(request)
        self._scheduler.evict(request)

    def _view(self, request: Any) -> Request:
        return self._views[request.request_id]


_NOBODY = float("inf")


def _rank(pair: tuple[float, Any]) -> float:
    return pair[0]


def _first_rank(paused: list[Any]) -> float:
    return float(paused[0][0]) if paused else _NOBODY


def _is_paused(request: Any) -> bool:
    return bool(request.next_decode_eligible_step == _PAUSED)


class _Heads:
    """The waiting requests that take a seat in this step, best first."""

    def __init__(self, scheduler: Any, policy: Policy, views: dict[str, Request]) -> None:
        self._scheduler = scheduler
        self._policy = policy
        self._views = views
        self._taken: list[Any] = []
        self.seated = len(scheduler.kv_holding_waiting)
        self.promised = 0
        self._closed = False
        self._look()

    def _look(self) -> None:
        """Find the best waiting request that vLLM could admit now."""
        waiting = self._scheduler.waiting
        self.best, self.rank, self.may_preempt = None, _NOBODY, False
        while waiting and not self._closed:
            request = waiting.peek_request()
            if self._scheduler._is_blocked_waiting_status(request.status):
                self._taken.append(waiting.pop_request())
                continue
            self.best = request
            view = self._views[request.request_id]
            self.rank = self._policy.rank(view)
            self.may_preempt = self._policy.may_preempt(view)
            return

    def seat(self, blocks: int) -> None:
        """The best one gets a seat and is promised blocks; look at the next."""
        self._taken.append(self._scheduler.waiting.pop_request())
        self.seated += 1
        self.promised += blocks
        self._look()

    def close(self) -> None:
        """Nobody else is admitted in this step."""
        self._closed = True
        self._look()

    def put_back(self) -> None:
        """vLLM itself admits them, in the same order."""
        self._scheduler.waiting.prepend_requests(self._taken)
