"""Who sits in the engine's seats: pause, evict and resume running requests by rank."""

from __future__ import annotations

import sys
from bisect import insort
from typing import Any

from lengthwise.core.policy import Policy
from lengthwise.core.request import Request
from lengthwise.vllm.costs import COSTS

PAUSED_PER_SEAT = 2
"""Most paused requests to a seat. Among thousands waiting some prompt always promises to
be shorter than what runs; without a bound each would be prefilled, found longer, and
paused in turn."""

_ANY = sys.maxsize


class Seats:
    """Decides before each step who sits in vLLM's ``running`` list.

    A request that loses its seat is paused: it is taken out of ``running`` while vLLM
    schedules a step, so it gets no token and costs no time, and keeps its KV cache.
    Between steps it stands at the tail of ``running``, worst rank last: to the rest of
    vLLM it is a running request.
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
        # A paused request generates nothing, so its rank is the one it lost its seat with.
        self._paused: list[tuple[float, Any]] = []
        prefill = -(-scheduler.max_num_scheduled_tokens // scheduler.block_size)
        groups = len(scheduler.kv_cache_config.kv_cache_groups)
        # More blocks than one step of the running requests can take.
        self._step_blocks = (self._seats + int(prefill)) * groups
        # The V2 runner keeps a slot for each running request; V1 only for scheduled ones.
        self._slots = scheduler.max_num_running_reqs if scheduler.use_v2_model_runner else _ANY

    @property
    def contested(self) -> bool:
        """Whether somebody is left without a seat, or the next arrival would be."""
        scheduler = self._scheduler
        full = len(scheduler.running) >= self._seats or self._free_blocks() <= self._seats
        return full or bool(self._paused) or bool(scheduler.waiting)

    def arrange(self) -> None:
        """Give the seats to the best ranks; leaves only their holders in ``running``."""
        scheduler = self._scheduler
        if self._paused:
            del scheduler.running[-len(self._paused) :]
        if not self._paused and not scheduler.waiting and self._free_blocks() > self._seats:
            return
        active = [self._ranked(request) for request in scheduler.running]
        heads = _Heads(scheduler, self._policy, self._views)
        if self._settled(active, heads):
            heads.put_back()
            return
        active.sort(key=_rank)
        self._fill(active, heads)
        self._swap(active, heads)
        scheduler.running = [request for _, request in active]
        self._make_room(heads.promised)
        heads.put_back()

    def rejoin(self) -> None:
        """vLLM has scheduled the step: the paused stand at the tail of ``running`` again."""
        self._scheduler.running += [request for _, request in self._paused]

    def forget(self, request: Any) -> None:
        """The request has finished, was aborted or evicted."""
        self._paused = [pair for pair in self._paused if pair[1] is not request]

    def _ranked(self, request: Any) -> tuple[float, Any]:
        view = self._views[request.request_id]
        view.generated = request.num_output_tokens
        return self._policy.rank(view), request

    def _settled(self, active: list[Any], heads: _Heads) -> bool:
        """Whether nobody moves: no seat free, nobody outside better, memory for the step."""
        if len(active) + heads.seated < self._seats or self._free_blocks() < self._step_blocks:
            return False
        worst = max(map(_rank, active), default=_NOBODY)
        return self._outside(heads) + self._margin >= worst

    def _outside(self, heads: _Heads) -> float:
        """The best rank that may take a seat from someone now."""
        enter = heads.may_preempt and len(self._paused) < PAUSED_PER_SEAT * self._seats
        return min(heads.rank if enter else _NOBODY, _first_rank(self._paused))

    def _fill(self, active: list[Any], heads: _Heads) -> None:
        """Free seats go to the best of the paused and the waiting."""
        while len(active) + heads.seated < self._seats:
            if heads.best and (not self._paused or heads.rank < self._paused[0][0]):
                if self._fits(heads, self._paused):
                    heads.seat(self._blocks_needed(heads.best))
                else:
                    # Memory, not seats, is short: smaller ranks wait for it.
                    heads.close()
            elif self._paused:
                active.append(self._paused.pop(0))
            else:
                return

    def _swap(self, active: list[Any], heads: _Heads) -> None:
        """Better ranks outside take the seats of worse ones that may be interrupted."""
        paused = self._paused
        worst = len(active) - 1
        while worst >= 0:
            outside = self._outside(heads)
            victim = active[worst]
            if outside + self._margin >= victim[0]:
                break
            if not self._policy.preemptible(self._view(victim[1])):
                worst -= 1
                continue
            if outside == _first_rank(paused):
                active.append(paused.pop(0))
            elif self._fits(heads, [*paused, victim]):
                heads.seat(self._blocks_needed(heads.best))
            else:
                heads.close()
                continue
            del active[worst]
            worst -= 1
            self._stand_up(victim, heads)
        active.sort(key=_rank)

    def _stand_up(self, pair: tuple[float, Any], heads: _Heads) -> None:
        """Pause a request, or discard its KV cache where it cannot be paused."""
        _, victim = pair
        self._view(victim).preemptions += 1
        standing = len(self._scheduler.running) + len(self._paused)
        if not self._pausing or standing + heads.seated > self._slots:
            self._scheduler.evict(victim)
            return
        COSTS.pauses += 1
        insort(self._paused, pair, key=_rank)

    def _fits(self, heads: _Heads, outside: list[Any]) -> bool:
        """Whether the best waiting request's blocks are free or held by worse ranks."""
        blocks_of = self._scheduler.kv_cache_manager.get_blocks
        worse = [request for rank, request in outside if rank > heads.rank]
        held = sum(len(group) for r in worse for group in blocks_of(r.request_id).blocks)
        needed = heads.promised + self._blocks_needed(heads.best)
        return needed <= self._free_blocks() + held

    def _make_room(self, promised: int) -> None:
        """Evict the worst paused requests until this step's blocks are free.

        vLLM's own victims are the tail of ``running``, where the paused now are not.
        """
        if self._paused and self._free_blocks() < promised + self._step_blocks:
            needed = promised + sum(map(self._growth, self._scheduler.running))
            while self._paused and self._free_blocks() < needed:
                self._scheduler.evict(self._paused[-1][1])

    def _growth(self, request: Any) -> int:
        """Blocks the request lacks for all the tokens it has and one more."""
        held = self._scheduler.kv_cache_manager.get_blocks(request.request_id).blocks
        return max(self._blocks_of(request) - sum(map(len, held)), 0)

    def _free_blocks(self) -> int:
        return int(self._scheduler.kv_cache_manager.block_pool.get_num_free_blocks())

    def _blocks_needed(self, request: Any) -> int:
        """Blocks vLLM wants to be free before it admits the request."""
        watermark = self._scheduler.kv_cache_manager.watermark_blocks
        return self._blocks_of(request) + int(watermark)

    def _blocks_of(self, request: Any) -> int:
        scheduler = self._scheduler
        groups = len(scheduler.kv_cache_config.kv_cache_groups)
        tokens = min(request.num_tokens + 1, scheduler.max_model_len)
        return int(-(-tokens // scheduler.block_size) * groups)

    def _view(self, request: Any) -> Request:
        return self._views[request.request_id]


_NOBODY = float("inf")


def _rank(pair: tuple[float, Any]) -> float:
    return pair[0]


def _first_rank(paused: list[Any]) -> float:
    return float(paused[0][0]) if paused else _NOBODY


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
