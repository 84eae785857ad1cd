"""Would vLLM admit a waiting request in this step? Its own conditions, asked beforehand.

One rule: a seat is only given to a request that starts in this step, so nobody who runs under
stock vLLM stops for one that does not.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

from vllm.v1.core.sched.interface import PauseState
from vllm.v1.core.sched.scheduler import Scheduler as VllmScheduler
from vllm.v1.request import RequestStatus

from lengthwise.core.engine import Ahead
from lengthwise.vllm.memory import Memory


def _tokens(request: Any) -> int:
    return int(request.num_tokens)


class Admission:
    """vLLM's conditions, one method each.

    Args:
        scheduler: vLLM's, between two steps.
        memory: its KV memory.
    """

    def __init__(self, scheduler: Any, memory: Memory) -> None:
        self._scheduler = scheduler
        self._memory = memory
        self._paused: Sequence[Any] = ()
        self._throttled = False
        self._cached: dict[str, int] = {}
        self._first: list[Any] = []
        source = inspect.getsource(VllmScheduler.schedule)
        # Until vLLM 0.31 nobody is admitted in a pause, from then on who holds memory is.
        self._drains = "_pause_state != PauseState.PAUSED_ALL" in source

    def begins(self, throttled: bool, paused: Sequence[Any]) -> None:
        """A step begins.

        Args:
            throttled: whether data parallel ranks keep prompts for a later one.
            paused: requests that hold memory without a seat; always the same list.
        """
        self._throttled, self._paused = throttled, paused
        self._cached.clear()
        self._first.clear()

    @property
    def stopped(self) -> bool:
        """Whether nobody gets a token."""
        return bool(self._scheduler.pause_state == PauseState.PAUSED_ALL)

    @property
    def ahead(self) -> Ahead:
        """Requests with KV memory of their own: vLLM admits them before all others, in order.

        It stops at the first that finds no seat, memory or tokens, and then admits nobody else.
        """
        scheduler = self._scheduler
        held = scheduler.num_waiting_for_streaming_input
        self._first.clear()
        closed = scheduler.pause_state != PauseState.UNPAUSED or self.defers
        seats = blocks = 0
        if self.stopped or (closed and not self._drains):
            return Ahead(0, 0, held, True)
        room = scheduler.max_num_active_reqs - len(scheduler.running) - held
        for request in scheduler.kv_holding_waiting:
            if not self._ready(request):
                continue
            blocks += self._memory.needed(request)
            starts = self._memory.has_free(blocks) and self.starts(request, scheduler.running, ())
            if seats >= room or self.defers or not starts:
                return Ahead(seats, 0, held, True)
            seats += 1
            self._first.append(request)
        return Ahead(seats, blocks, held, closed)

    @property
    def defers(self) -> bool:
        """Whether vLLM computes no prompts in this step, so that those who decode go on."""
        scheduler = self._scheduler
        interval = getattr(scheduler, "local_prefill_interval", 1)
        throttled = self._throttled or (
            interval > 1
            and scheduler.num_executed_steps + 1 - scheduler.last_prefill_step < interval
        )
        if not throttled or scheduler.prefill_capacity_bound:
            return False
        return any(not each.is_prefill_chunk for each in (*scheduler.running, *self._paused))

    def sits(self, request: Any) -> bool:
        """Whether a paused request has a token in this step if it gets a seat."""
        return not (request.is_prefill_chunk and self.defers)

    def admits(self, request: Any, promised: Sequence[Any]) -> bool:
        """Whether vLLM, where it admits, does not pass over a waiting request."""
        return (
            self._ready(request)
            and self.has_adapter(request, promised)
            and self._is_here(request)
            and self._encodes(request)
        )

    def starts(self, request: Any, seated: Iterable[Any], promised: Sequence[Any]) -> bool:
        """Whether tokens of the step are left for it behind those who sit and the promised."""
        scheduler = self._scheduler
        least = 1 + scheduler.num_spec_tokens
        if not scheduler.scheduler_config.enable_chunked_prefill:
            least = self._uncomputed(request)
        elif scheduler.need_mamba_block_aligned_split:
            least = min(self._uncomputed(request), scheduler.cache_config.block_size)
        prefills, promised = scheduler._inflight_prefills, [*self._first, *promised]
        sure = self._left(scheduler.max_num_active_reqs, prefills, map(_tokens, promised))
        if sure >= least:
            return True
        here = set(seated)
        chunks = map(self._uncomputed, promised)
        return bool(self._left(len(here), prefills & here, chunks) >= least)

    def _left(self, seated: int, prefills: Iterable[Any], promised: Iterable[int]) -> int:
        """Tokens of a step that are left beside a number of seated requests.

        Args:
            prefills: those of them who compute a prompt.
            promised: tokens of prompts that come before.
        """
        scheduler = self._scheduler
        speculation = scheduler.vllm_config.speculative_config
        drafts = speculation.max_num_new_slots_for_drafting if speculation is not None else 0
        decode = 1 + scheduler.num_spec_tokens
        tokens = scheduler.max_num_scheduled_tokens - seated * decode
        inputs = scheduler.scheduler_config.max_num_batched_tokens - seated * (decode + drafts)
        for each in prefills:
            left = self._chunk(each.num_tokens - each.num_computed_tokens) - decode
            tokens, inputs = tokens - left, inputs - left
        for prompt in promised:
            left = self._chunk(prompt)
            tokens, inputs = tokens - left, inputs - left - drafts
        return int(min(tokens, inputs - drafts))

    def _chunk(self, tokens: int) -> int:
        """Tokens that a prompt takes of a step at most."""
        longest = self._scheduler.scheduler_config.long_prefill_token_threshold
        most = int(self._scheduler.max_num_scheduled_tokens)
        adaptive = self._scheduler.adaptive_long_prefill_threshold
        return min(tokens, most if adaptive or longest <= 0 else longest)

    def _uncomputed(self, request: Any) -> int:
        name = request.request_id
        if name not in self._cached:
            self._cached[name] = self._memory.cached(request)[1]
        return int(request.num_tokens - request.num_computed_tokens - self._cached[name])

    def _ready(self, request: Any) -> bool:
        """Not while a grammar, a remote KV cache, a session's input or an old output is awaited."""
        scheduler = self._scheduler
        if request.num_stale_output_tokens and not request.drop_stale_output:
            return False
        if request.status == RequestStatus.WAITING_FOR_STRUCTURED_OUTPUT_GRAMMAR:
            grammar = getattr(request.structured_output_request, "grammar", None)
            return grammar is not None and not isinstance(grammar, Exception)
        if request.status == RequestStatus.WAITING_FOR_REMOTE_KVS:
            return request.request_id in scheduler.finished_recving_kv_req_ids
        return not bool(scheduler._is_blocked_waiting_status(request.status))

    def has_adapter(self, request: Any, promised: Iterable[Any] = ()) -> bool:
        """A step has few LoRA adapters; who is paused keeps its own."""
        lora = self._scheduler.lora_config
        if not lora or not request.lora_request:
            return True
        here = {
            each.lora_request.lora_int_id
            for each in (*self._scheduler.running, *self._paused, *promised)
            if each.lora_request
        }
        return len(here | {request.lora_request.lora_int_id}) <= int(lora.max_loras)

    def _is_here(self, request: Any) -> bool:
        """Its KV cache need not be fetched first; where a seat is free, vLLM begins to fetch it."""
        scheduler = self._scheduler
        if scheduler.ec_connector is not None and request.mm_features:
            found = self._memory.cached(request)[1]
            if not scheduler.ec_connector.ensure_cache_available(request, found):
                return False
        if scheduler.connector is None or request.num_computed_tokens:
            return True
        if request.skip_reading_prefix_cache:
            return True
        found = self._memory.cached(request)[1] // scheduler.block_size * scheduler.block_size
        tokens, later = scheduler.connector.get_num_new_matched_tokens(request, found)
        free = len(scheduler.running) < scheduler.max_num_active_reqs
        return tokens is not None and (free or not (tokens and later))

    def _encodes(self, request: Any) -> bool:
        """The encoder has room for its first input that is not cached."""
        if not request.has_encoder_inputs:
            return True
        scheduler = self._scheduler
        if any(each.has_encoder_inputs for each in scheduler._inflight_prefills):
            return False
        cache = scheduler.encoder_cache_manager
        known = getattr(cache, "cached", {})
        for i, feature in enumerate(request.mm_features):
            if feature.identifier not in known:
                room = min(cache.num_freeable_slots, scheduler.max_num_encoder_input_tokens)
                return bool(request.get_num_encoder_embeds(i) <= room)
        return True
