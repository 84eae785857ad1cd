"""vLLM's scheduler with its own requests, queues and memory, and a stub for the model."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

from lengthwise.vllm.engine import prepare_process
from lengthwise.vllm.settings import Settings

_TOKEN, _END = 7, 1
"""What the stub samples: any token, and the one that ends an answer."""


def stub_config(
    model: str,
    seats: int,
    budget: int,
    context: int = 1024,
    block_size: int = 16,
    caching: bool = False,
    watermark: float = 0.0,
    active: int | None = None,
    adapters: int = 0,
    asynchronous: bool = False,
) -> Any:
    """vLLM's configuration of an engine on this model, as schedulers read it; takes a second.

    Args:
        seats, budget: most requests that hold memory, and most tokens in one step.
        context: most tokens of a request, prompt and answer.
        caching: whether vLLM keeps prefixes.
        watermark: share of the blocks that admissions leave free.
        active: most requests in one step, where they are fewer than ``seats``.
        adapters: most LoRA adapters in one step; 0 for an engine without them.
        asynchronous: whether vLLM schedules a step ahead of its outputs.
    """
    prepare_process()
    from vllm.engine.arg_utils import EngineArgs

    config = EngineArgs(
        model=model,
        max_num_seqs=seats,
        max_num_active_seqs=active,
        max_num_batched_tokens=budget,
        max_model_len=context,
        block_size=block_size,
        enforce_eager=True,
        enable_prefix_caching=caching,
        async_scheduling=False,
        dtype="float32",
        watermark=watermark,
        enable_lora=adapters > 0,
        max_loras=max(adapters, 1),
    ).create_engine_config()
    # vLLM itself turns it off where there is no accelerator.
    config.scheduler_config.async_scheduling = asynchronous
    return config


class Stub:
    """One scheduler, and a model that takes no time and whose answers have given lengths.

    Args:
        kind: the class of the scheduler, vLLM's or ours.
        config: of :func:`stub_config`.
        blocks: blocks of the KV cache that requests can hold.
        settings: of our scheduler.
        v2: whether the scheduler speaks to vLLM's second model runner.
        window: tokens of a second group of layers with sliding-window attention, if there is one.

    Attributes:
        scheduler: the scheduler itself.
    """

    def __init__(
        self,
        kind: type[Any],
        config: Any,
        blocks: int,
        settings: Settings | None = None,
        v2: bool = False,
        window: int | None = None,
    ) -> None:
        import torch
        from vllm.utils.hashing import get_hash_fn_by_name
        from vllm.v1.core.kv_cache_utils import get_request_block_hasher, init_none_hash
        from vllm.v1.kv_cache_interface import (
            FullAttentionSpec,
            KVCacheConfig,
            KVCacheGroupSpec,
            SlidingWindowSpec,
        )
        from vllm.v1.structured_output import StructuredOutputManager

        config = copy.copy(config)
        config.cache_config = copy.copy(config.cache_config)
        config.additional_config = {} if settings is None else settings.additional_config()
        # One block of the pool is vLLM's own.
        config.cache_config.num_gpu_blocks = blocks + 1
        size = config.cache_config.block_size
        shape: Any = {"block_size": size, "num_kv_heads": 1, "head_size": 8, "dtype": torch.float32}
        groups = [KVCacheGroupSpec(["layer"], FullAttentionSpec(**shape))]
        if window is not None:
            sliding = SlidingWindowSpec(**shape, sliding_window=window)
            groups.append(KVCacheGroupSpec(["sliding"], sliding))
        memory = KVCacheConfig(blocks + 1, [], groups)
        grammars = StructuredOutputManager(config)
        with patch.dict(os.environ, VLLM_USE_V2_MODEL_RUNNER=str(int(v2))):
            self.scheduler = kind(config, memory, grammars, block_size=size, log_stats=True)
        self._context = config.model_config.max_model_len
        self._hasher = None
        if config.cache_config.enable_prefix_caching:
            hash_of = get_hash_fn_by_name(config.cache_config.prefix_caching_hash_algo)
            init_none_hash(hash_of)
            self._hasher = get_request_block_hasher(size, hash_of)
        self._answers: dict[str, int] = {}

    def request(
        self,
        name: str,
        prompt: Sequence[int],
        answer: int,
        adapter: int = 0,
        resumable: bool = False,
        **params: Any,
    ) -> Any:
        """A request of vLLM's that will be answered with so many tokens.

        Nobody knows beforehand how many, unless ``params`` (vLLM's sampling parameters) say so.

        Args:
            adapter: number of its LoRA adapter; 0 for none.
            resumable: whether it is (an input of) a session that goes on after its answer.
        """
        from vllm import SamplingParams
        from vllm.lora.request import LoRARequest
        from vllm.v1.request import Request

        if not params.get("ignore_eos"):
            params.setdefault("stop_token_ids", [_END])
        params.setdefault("max_tokens", self._context - len(prompt))
        self._answers[name] = answer
        sampling = SamplingParams(**params)
        lora = LoRARequest(f"adapter{adapter}", adapter, "nowhere") if adapter else None
        return Request(
            name,
            list(prompt),
            sampling,
            None,
            lora_request=lora,
            block_hasher=self._hasher,
            resumable=resumable,
        )

    def answered(self, output: Any) -> Any:
        """What a model's runner would return for a step: a token where the prompt is computed."""
        from vllm.v1.outputs import ModelRunnerOutput

        names = list(output.num_scheduled_tokens)
        requests = self.scheduler.requests
        sampled = [
            [] if requests[name].is_prefill_chunk else [self._next(requests[name])]
            for name in names
        ]
        return ModelRunnerOutput(names, {name: i for i, name in enumerate(names)}, sampled)

    def _next(self, request: Any) -> int:
        # Asked once the step is scheduled: its token is among those that are awaited.
        sampled = request.num_output_tokens + max(request.num_output_placeholders, 1)
        last = sampled >= self._answers[request.request_id]
        return _END if last else _TOKEN

    def step(self) -> Any:
        """Schedule a step and take its tokens; what the scheduler decided."""
        output = self.scheduler.schedule()
        self.scheduler.update_from_output(output, self.answered(output))
        self.forget()
        return output

    def forget(self) -> None:
        """After a step: drop what is known of the requests that finished in it."""
        for name in self.scheduler.finished_req_ids:
            self._answers.pop(name, None)
