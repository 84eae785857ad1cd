"""vLLM's KV memory in blocks: what requests hold, need and share, over all its cache groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any


class Memory:
    """Counts as vLLM's own allocation does; a block that several requests hold counts once."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._manager = scheduler.kv_cache_manager
        self._pool = self._manager.block_pool
        self.reserve = int(self._manager.watermark_blocks)
        self._groups = max(len(scheduler.kv_cache_config.kv_cache_groups), 1)
        self._recycles = any(
            group.max_admission_blocks_per_request is not None
            for group in self._manager.coordinator.single_type_managers
        )

    def free(self) -> int:
        """Free blocks of the pool."""
        return int(self._pool.get_num_free_blocks())

    def has_free(self, blocks: int) -> bool:
        """Whether so many are free at an admission."""
        return blocks + self.reserve <= self.free()

    def coming(self) -> int:
        """Blocks that were given back, and that a step which is under way may still write."""
        return sum(len(blocks) for _, blocks in self._scheduler.deferred_frees)

    def freed(self, requests: Iterable[Any]) -> int:
        """Blocks that nobody else holds."""
        alone, shared = 0, Counter[int]()
        counts: dict[int, int] = {}
        for request in requests:
            for group in self._manager.get_blocks(request.request_id).blocks:
                for i, block in enumerate(group):
                    if block.ref_cnt == 1 and not block.is_null:
                        # What is shared is a prefix: whatever follows is its own.
                        alone += len(group) - i
                        break
                    if not block.is_null:
                        shared[block.block_id] += 1
                        counts[block.block_id] = block.ref_cnt
        return alone + sum(shared[block] == count for block, count in counts.items())

    def needed(self, request: Any) -> int:
        """Free blocks that a waiting request takes for all its tokens, and one more.

        vLLM counts twice, and both must be free: all tokens, of which a window keeps the last,
        and the first chunk as it is.
        """
        scheduler = self._scheduler
        ahead = 1 + scheduler.num_lookahead_tokens
        tokens = min(request.num_tokens + ahead, scheduler.max_model_len)
        most = -(-tokens // scheduler.block_size) * self._groups
        if most * scheduler.max_num_active_reqs <= self.free():
            # Memory is plentiful: nothing depends on what is cached.
            return int(most)
        blocks, found = self.cached(request)
        computed = request.num_computed_tokens + found
        chunk = min(computed + scheduler.max_num_scheduled_tokens, tokens)
        whole = self._to_allocate(request, tokens, blocks, computed, at_once=True)
        if not self._recycles:
            return whole
        return max(whole, self._to_allocate(request, chunk, blocks, computed, at_once=False))

    def growth(self, seated: Iterable[Any]) -> int:
        """Free blocks that seated requests take in a step, in the order in which they sit."""
        scheduler = self._scheduler
        left, taken = int(scheduler.max_num_scheduled_tokens), 0
        for request in seated:
            computed = request.num_computed_tokens
            due = request.num_tokens_with_spec + request.num_output_placeholders - computed
            chunk = max(min(due, left), 0)
            left -= chunk
            if chunk:
                tokens = computed + chunk + scheduler.num_lookahead_tokens
                tokens = min(tokens, scheduler.max_model_len)
                taken += self._to_allocate(request, tokens, (), computed, at_once=False)
        return taken

    def cached(self, request: Any) -> tuple[Any, int]:
        """Blocks of each group that the prefix cache has for a waiting request, and their tokens.

        It is vLLM's own look-up up to the first block that is not there; it counts nowhere.
        """
        if request.num_computed_tokens or not self._manager.prefix_cache_lookup_enabled(request):
            return (), 0
        found = self._manager.coordinator.find_longest_cache_hit(
            request.block_hashes, request.num_tokens - 1
        )
        return found[0], int(found[1])

    def _to_allocate(
        self, request: Any, tokens: int, blocks: Any, computed: int, at_once: bool
    ) -> int:
        """vLLM's own count, in steps, or for all tokens at once as it is asked at an admission."""
        encoded = 0
        if self._scheduler.is_encoder_decoder:
            inputs = range(len(request.mm_features))
            encoded = sum(request.get_num_encoder_embeds(i) for i in inputs)
        return int(
            self._manager.coordinator.get_num_blocks_to_allocate(
                request_id=request.request_id,
                num_tokens=tokens,
                new_computed_blocks=blocks or self._manager.empty_kv_cache_blocks.blocks,
                num_encoder_tokens=encoded,
                total_computed_tokens=computed,
                num_local_computed_tokens=computed,
                num_tokens_main_model=tokens,
                apply_admission_cap=at_once,
                prefill_end=max(request.num_prompt_tokens, request.num_tokens - 1),
            )
        )
