"""What lengthwise builds on in vLLM, surface by surface: looked up in vLLM's sources at the start.

vLLM promises none of it, so each name is asked for, and no version is refused for its number.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from lengthwise.errors import UserError
from lengthwise.vllm.sources import Definition, Root, Sources

if TYPE_CHECKING:
    from lengthwise.vllm.settings import Settings

logger = logging.getLogger("vllm.lengthwise")

KNOWN = ("0.31", "0.32", "0.33")
"""Versions that were run or read."""

WORKS = f"lengthwise works with vLLM {', '.join(f'{each}.x' for each in KNOWN)}"

_TOLD = "LENGTHWISE_TOLD"
"""Environment variable: the unknown version that this process or one above it warned of."""

_USE = re.compile(r"(?P<name>\w+)(?:\((?P<call>.*)\)| reads (?P<read>\w+))?")


@dataclass(frozen=True, eq=False)
class Surface:
    """One part of vLLM that lengthwise builds on.

    Attributes:
        name: as users know it.
        uses: by ``module:Class``, or by ``module``, what is used of it. ``name`` is there;
            ``name(a, b)`` can be called with no more than these; of ``name(a, ...)`` only the
            first are known, for more is passed on; ``name reads other`` uses ``self.other``;
            ``only(a, b)`` has no abstract method but these.
        without: what does not work where something is missing, and what still does.
    """

    name: str
    uses: Mapping[str, tuple[str, ...]]
    without: str


@dataclass(frozen=True)
class Fit:
    """How a vLLM's sources fit one surface.

    Attributes:
        missing: what is not there, as ``Class.name``.
    """

    surface: Surface
    missing: tuple[str, ...]

    def __str__(self) -> str:
        """One line: what is missing, and what then does not work."""
        if not self.missing:
            return f"{self.surface.name}: fits"
        more = f" and {len(self.missing) - 1} more" if self.missing[1:] else ""
        return f"{self.surface.name} lacks {self.missing[0]}{more}: {self.surface.without}"


_INSTALL = "install vLLM " + ", ".join(KNOWN[:-1]) + f" or {KNOWN[-1]}"

SCHEDULER = Surface(
    "scheduler",
    {
        "v1.core.sched.async_scheduler:AsyncScheduler": (
            *("schedule(...)", "update_from_output(scheduler_output, model_runner_output)"),
            *("add_request(request, ...)", "finish_requests(request_ids, finished_status, ...)"),
            *("_preempt_request(request, timestamp)", "_free_request(request, ...)"),
            *("_is_blocked_waiting_status(status)", "_handle_stopped_request(request)"),
            *("_handle_blocked_waiting_request(request)", "_enqueue_waiting_request(request)"),
            *("_update_request_as_session(session, update)", "reset_prefix_cache(...)"),
            *("get_request_counts()", "get_num_unfinished_requests()", "shutdown()"),
            *("set_pause_state(pause_state)", "pause_state", "_inflight_prefills"),
            *(
                "vllm_config",
                "scheduler_config",
                "kv_cache_config",
                "kv_cache_manager",
                "policy",
                "block_size",
            ),
            *("requests", "running", "waiting", "kv_holding_waiting", "finished_req_ids"),
            *("max_num_active_reqs", "max_num_running_reqs", "max_num_scheduled_tokens"),
            *("max_model_len", "current_step", "use_v2_model_runner", "cache_config"),
            *("lora_config", "connector", "ec_connector", "encoder_cache_manager"),
            *("finished_recving_kv_req_ids", "num_waiting_for_streaming_input"),
            *("num_lookahead_tokens", "num_spec_tokens", "max_num_encoder_input_tokens"),
            *("is_encoder_decoder", "need_mamba_block_aligned_split", "deferred_frees"),
            *("adaptive_long_prefill_threshold", "prefill_capacity_bound"),
            *("schedule reads running", "schedule reads waiting"),
            *("schedule reads kv_holding_waiting", "schedule reads max_num_active_reqs"),
            *("schedule reads _handle_blocked_waiting_request", "parallel_config"),
            *("_update_after_schedule(scheduler_output)", "_update_request_with_output(...)"),
            "schedule reads _preempt_request",
        ),
        "v1.core.sched.scheduler:Scheduler": (
            *("_update_after_schedule(scheduler_output)", "_update_request_with_output(...)"),
        ),
        "v1.core.sched.output:SchedulerOutput": (
            *("scheduled_new_reqs", "scheduled_cached_reqs", "num_scheduled_tokens"),
            *("total_num_scheduled_tokens", "preempted_req_ids", "finished_req_ids"),
        ),
        "v1.core.sched.output:NewRequestData": ("req_id", "num_computed_tokens"),
        "v1.core.sched.output:CachedRequestData": (
            *("req_ids", "resumed_req_ids", "num_computed_tokens"),
        ),
        "v1.core.kv_cache_manager:KVCacheManager": (
            *("block_pool", "coordinator", "watermark_blocks", "get_blocks(request_id)"),
            *("prefix_cache_lookup_enabled(request)", "empty_kv_cache_blocks"),
        ),
        "v1.core.kv_cache_manager:KVCacheBlocks": ("blocks",),
        "v1.core.kv_cache_coordinator:UnitaryKVCacheCoordinator": (
            "find_longest_cache_hit(block_hashes, max_cache_hit_length)",
            "get_num_blocks_to_allocate(request_id, num_tokens, new_computed_blocks, "
            "num_encoder_tokens, total_computed_tokens, num_local_computed_tokens, "
            "num_tokens_main_model, apply_admission_cap, prefill_end)",
            "single_type_managers",
        ),
        "v1.core.single_type_kv_cache_manager:SingleTypeKVCacheManager": (
            "max_admission_blocks_per_request",
        ),
        "v1.core.encoder_cache_manager:EncoderCacheManager": ("num_freeable_slots",),
        "distributed.kv_transfer.kv_connector.v1.base:KVConnectorBase_V1": (
            "get_num_new_matched_tokens(request, num_computed_tokens)",
        ),
        "distributed.ec_transfer.ec_connector.base:ECConnectorBase": (
            "ensure_cache_available(request, num_computed_tokens)",
        ),
        "v1.core.block_pool:BlockPool": ("get_num_free_blocks()",),
        "v1.core.kv_cache_utils:KVCacheBlock": ("ref_cnt", "is_null", "block_id"),
        "v1.kv_cache_interface:KVCacheConfig": ("num_blocks", "kv_cache_groups"),
        "v1.request:Request": (
            *("request_id", "status", "priority", "sampling_params", "max_tokens"),
            *("prompt_token_ids", "block_hashes", "num_tokens", "num_prompt_tokens"),
            *("num_output_tokens", "num_computed_tokens", "get_finished_reason()", "resumable"),
            "streaming_queue",
            *("num_tokens_with_spec", "num_output_placeholders", "num_stale_output_tokens"),
            *("drop_stale_output", "is_prefill_chunk", "lora_request", "mm_features"),
            *("has_encoder_inputs", "get_num_encoder_embeds(input_id)"),
            *("skip_reading_prefix_cache", "structured_output_request"),
        ),
        "v1.request:RequestStatus": (
            *("FINISHED_ABORTED", "FINISHED_IGNORED", "FINISHED_ERROR"),
            *("WAITING_FOR_STRUCTURED_OUTPUT_GRAMMAR", "WAITING_FOR_REMOTE_KVS"),
            "WAITING_FOR_STREAMING_REQ",
        ),
        "v1.core.sched.interface:PauseState": ("UNPAUSED", "PAUSED_NEW", "PAUSED_ALL"),
        "v1.core.sched.request_queue:SchedulingPolicy": ("FCFS",),
        "v1.core.sched.request_queue:FCFSRequestQueue": ("prepend_requests(requests)",),
        "v1.outputs:ModelRunnerOutput": ("sampled_token_ids",),
        "sampling_params:SamplingParams": (
            *("extra_args", "ignore_eos", "min_tokens", "stop", "stop_token_ids", "max_tokens"),
        ),
        "config:VllmConfig": ("additional_config", "model_config"),
        "config:SchedulerConfig": (
            *("async_scheduling", "max_num_batched_tokens", "enable_chunked_prefill"),
            "long_prefill_token_threshold",
        ),
        "config:SpeculativeConfig": ("max_num_new_slots_for_drafting",),
    },
    f"lengthwise cannot order requests there: {_INSTALL}",
)

QUEUE = Surface(
    "request queue",
    {
        "v1.core.sched.request_queue:RequestQueue": (
            *("add_request(request)", "pop_request()", "peek_request()"),
            *("prepend_request(request)", "prepend_requests(requests)"),
            *("remove_request(request)", "remove_requests(requests)"),
            "only(add_request, pop_request, peek_request, prepend_request, prepend_requests, "
            "remove_request, remove_requests, __bool__, __len__, __iter__)",
        ),
    },
    f"lengthwise cannot order requests there: {_INSTALL}",
)

_WORKER = {
    "v1.worker.gpu_worker:Worker": (
        *("load_model(...)", "model_runner", "vllm_config", "device", "rank"),
    ),
    "config:VllmConfig": (
        *("additional_config", "model_config", "parallel_config", "scheduler_config"),
    ),
    "config:SchedulerConfig": ("scheduler_cls",),
    "config:ModelConfig": ("get_hidden_size()", "get_total_num_hidden_layers()"),
    "config:ParallelConfig": ("distributed_executor_backend", "tensor_parallel_size"),
    "v1.core.sched.output:SchedulerOutput": ("num_scheduled_tokens", "finished_req_ids"),
    "model_executor.models.interfaces:SupportsEagle3": ("set_aux_hidden_state_layers(layers)",),
}

RUNNER_V1 = Surface(
    "model runner V1",
    {
        **_WORKER,
        "v1.worker.gpu_model_runner:GPUModelRunner": (
            *("get_model()", "execute_model(scheduler_output, ...)", "sample_tokens(...)"),
            *("input_batch", "use_aux_hidden_state_outputs", "execute_model_state"),
            "execute_model reads execute_model_state",
        ),
        "v1.worker.gpu_model_runner:ExecuteModelState": ("aux_hidden_states", "hidden_states"),
        "v1.worker.gpu_input_batch:InputBatch": (
            *("req_ids", "num_computed_tokens_cpu", "num_prompt_tokens"),
        ),
    },
    "no probe can be read there; policies without one work",
)

RUNNER_V2 = Surface(
    "model runner V2",
    {
        **_WORKER,
        "v1.worker.gpu.model_runner:GPUModelRunner": (
            *("get_model()", "execute_model(scheduler_output, ...)", "sample_tokens(...)"),
            *("req_states", "use_aux_hidden_state_outputs", "execute_model_state"),
            "execute_model reads execute_model_state",
        ),
        "v1.worker.gpu.model_runner:ExecuteModelState": (
            *("input_batch", "aux_hidden_states", "hidden_states"),
        ),
        "v1.worker.gpu.input_batch:InputBatch": (
            *("req_ids", "num_scheduled_tokens", "num_computed_tokens_np", "idx_mapping_np"),
        ),
        "v1.worker.gpu.states:RequestState": ("prompt_len", "req_id_to_index"),
        "v1.worker.gpu.buffer_utils:UvaBackedTensor": ("np",),
    },
    "no probe can be read there: set VLLM_USE_V2_MODEL_RUNNER=0, or take a policy without a probe",
)

ASYNC_OUTPUT = Surface(
    "asynchronous output",
    {"v1.outputs:AsyncModelRunnerOutput": ("get_output()",)},
    "predictions of a probe do not come with it: give --no-async-scheduling, or take a policy "
    "without a probe",
)

CLIENT = Surface(
    "engine client",
    {
        "v1.engine.core_client:EngineCoreClient": ("make_client(...)", "make_async_mp_client(...)"),
        "v1.engine.core_client:InprocClient": (
            *("add_request(request)", "get_output()", "abort_requests(request_ids)"),
            "engine_core",
        ),
        "v1.engine.core_client:SyncMPClient": (
            *("add_request(request)", "get_output()", "abort_requests(request_ids)"),
            "vllm_config",
        ),
        "v1.engine.core_client:AsyncMPClient": (
            *("add_request_async(request)", "get_output_async()"),
            *("abort_requests_async(request_ids)", "vllm_config"),
        ),
        "v1.engine:EngineCoreRequest": (
            *("request_id", "prompt_token_ids", "prompt_embeds", "mm_features", "resumable"),
            *("sampling_params", "priority"),
        ),
        "v1.engine:EngineCoreOutputs": ("outputs",),
        "v1.engine:EngineCoreOutput": ("request_id", "new_token_ids", "finish_reason", "events"),
        "v1.request:Request": (
            *("append_output_token_ids(token_ids)", "num_preemptions", "take_prefill_stats()"),
        ),
        "v1.worker.gpu_model_runner": ("CachedRequestState",),
        "v1.worker.gpu_model_runner:GPUModelRunner": ("input_batch", "sampler", "device"),
        "v1.worker.gpu_input_batch:InputBatch": ("vocab_size",),
        "v1.worker.gpu_input_batch:CachedRequestState": (
            *("output_token_ids", "generator", "sampling_params", "__post_init__()"),
        ),
        "v1.sample.sampler:Sampler": ("topk_topp_sampler",),
        "sampling_params:SamplingParams": (
            *("prompt_logprobs", "prompt_logprob_token_ids", "skip_reading_prefix_cache"),
            "structured_outputs",
            *("thinking_token_budget", "trace_decode_token_ids", "watermarking"),
        ),
        "config:VllmConfig": (
            *("cache_config", "speculative_config", "kv_transfer_config", "watermark_config"),
            "scheduler_config",
        ),
    },
    "requests cannot be served in slices, and clients' hints travel unchecked; all else works",
)

ENGINE = Surface(
    "engine",
    {
        "v1.engine.llm_engine:LLMEngine": (
            *("from_engine_args(engine_args, ...)", "add_request(request_id, prompt, params, ...)"),
            *("abort_request(request_ids, ...)", "step()", "has_unfinished_requests()"),
            *("get_tokenizer()", "collective_rpc(method, ...)", "reset_prefix_cache(...)"),
            *("engine_core", "output_processor"),
        ),
        "v1.engine.output_processor:OutputProcessor": ("external_req_ids",),
        "v1.engine.core_client:InprocClient": ("engine_core",),
        "v1.engine.core:EngineCore": ("scheduler",),
        "engine.arg_utils": ("EngineArgs",),
        "platforms": ("current_platform",),
    },
    "bench, collect, calibrate and route cannot drive it; serving works",
)

SERVER = Surface(
    "server",
    {
        "entrypoints.cli.main": ("main",),
        "entrypoints.cli.serve:ServeSubcommand": ("subparser_init(subparsers)", "validate(args)"),
        "engine.arg_utils:EngineArgs": ("get_batch_defaults(world_size)",),
    },
    "lengthwise serve cannot start it: give vllm serve --scheduler-cls lengthwise.vllm.Scheduler",
)

TRACING = Surface(
    "tracing",
    {
        "tracing.otel": ("get_span_exporter",),
        "v1.request:Request": ("trace_headers",),
        "config:VllmConfig": ("observability_config",),
        "v1.engine.core:EngineCore": ("shutdown()",),
    },
    "no spans of requests are sent; all else works",
)

LIVE = Surface(
    "live state",
    {
        "v1.engine.core_client:AsyncMPClient": (
            *("core_engines", "vllm_config", "client_index"),
            *("engine_ranks_managed", "_call_utility_async(method, ...)"),
        ),
        "v1.engine.core:EngineCore": ("scheduler",),
        "v1.engine.async_llm:AsyncLLM": ("engine_core",),
        "plugins.endpoint_plugins.interface:EndpointPlugin": (
            *("attach_router(app)", "init_state(engine_client, state, args)"),
        ),
    },
    "no metrics of lengthwise and no live page; all else works",
)

APP = Surface(
    "server's app",
    {
        "entrypoints.launchers.app": ("build_app",),
        "entrypoints.launchers.api_server.app_state": ("init_app_state",),
        "entrypoints.launchers.api_server.entry": ("build_async_engine_client",),
        "utils.argparse_utils": ("FlexibleArgumentParser",),
    },
    "lengthwise route cannot run it; serving works",
)

ORDER = (SCHEDULER, QUEUE)
"""What no policy can do without."""

SURFACES = (
    *(SCHEDULER, QUEUE, RUNNER_V1, RUNNER_V2, ASYNC_OUTPUT, CLIENT, ENGINE, SERVER),
    *(TRACING, LIVE, APP),
)


def installed() -> Path | None:
    """The folder of the vLLM that would be imported, which is not imported for it."""
    specs = (finder.find_spec("vllm", None) for finder in sys.meta_path)
    found = next((each for each in specs if each is not None), None)
    places = None if found is None else found.submodule_search_locations
    return Path(places[0]) if places else None


@cache
def fits(root: Root, surfaces: tuple[Surface, ...] = SURFACES) -> tuple[Fit, ...]:
    """How the package ``vllm`` at this place fits these surfaces."""
    sources = Sources(root)
    return tuple(Fit(surface, tuple(_missing(sources, surface))) for surface in surfaces)


def beside(settings: Settings, second_runner: bool, asynchronous: bool) -> list[Surface]:
    """What serving by these settings needs beside :data:`ORDER`.

    Args:
        second_runner: whether vLLM's model runner is V2.
        asynchronous: whether vLLM schedules a step ahead of its outputs.
    """
    found = [CLIENT] if settings.slice is not None else []
    if settings.probing or settings.record:
        found.append(RUNNER_V2 if second_runner else RUNNER_V1)
        found += [ASYNC_OUTPUT] * asynchronous
    return found


def check(version: str, root: Root, surfaces: Iterable[Surface]) -> str | None:
    """Refuse a vLLM in which lengthwise cannot work as it is asked to.

    Args:
        surfaces: what is needed of it.

    Returns:
        A warning if all fits and the version is unknown, unless it was given before.

    Raises:
        UserError: one line: what is missing, and what to do.
    """
    for fit in fits(root, tuple(surfaces)):
        if fit.missing:
            raise UserError(f"vLLM {version}: its {fit}")
    if _is_known(version) or os.environ.get(_TOLD) == version:
        return None
    os.environ[_TOLD] = version
    return f"vLLM {version} is new to lengthwise: all that it builds on is there; {WORKS}"


def check_running(surfaces: Iterable[Surface]) -> None:
    """The same for the vLLM that this process runs; a warning goes into its log.

    Raises:
        UserError: as :func:`check`.
    """
    import vllm

    warning = check(vllm.__version__, Path(vllm.__file__).parent, surfaces)
    if warning is not None:
        logger.warning(warning)


def _is_known(version: str) -> bool:
    return ".".join(version.split(".")[:2]) in KNOWN


def _missing(sources: Sources, surface: Surface) -> list[str]:
    missing = []
    for where, uses in surface.uses.items():
        module, _, name = where.partition(":")
        if not sources.has_module(module):
            missing.append(f"vllm.{module}")
        elif not name:
            missing += [f"{module}.{use}" for use in uses if not sources.has_name(module, use)]
        else:
            missing += _lacks(sources.definition(module, name), name, uses)
    return missing


def _lacks(found: Definition | None, name: str, uses: tuple[str, ...]) -> list[str]:
    if found is None:
        return [name]
    return [f"{name}.{use}" for use in uses if not _has(found, use)]


def _has(found: Definition, use: str) -> bool:
    match = _USE.fullmatch(use)
    assert match is not None, use
    name, call, read = match["name"], match["call"], match["read"]
    if read is not None:
        return found.reads(name, read)
    if call is None:
        return name in found.names
    given = tuple(each.strip() for each in call.split(",") if each.strip())
    if name == "only":
        return found.abstract <= set(given)
    parameters = found.parameters(name)
    first, more = tuple(each for each in given if each != "..."), "..." in given
    return parameters is not None and parameters.take(first, whole=not more)
