"""The routes of vLLM's server, by what a router in front of several has to do with them."""

from __future__ import annotations

GENERATING = {
    "/v1/completions",
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/inference/v1/generate",
}
"""Their requests keep an engine busy: they are read, and placed by their work."""

HINTED = GENERATING - {"/inference/v1/generate"}
"""Those whose bodies have ``vllm_xargs``, in which hints for the scheduler go along."""

_EVERYWHERE = {
    "/abort_requests",
    "/collective_rpc",
    "/finish_weight_update",
    "/init_weight_transfer_engine",
    "/pause",
    "/release_kv_cache_memory",
    "/reset_encoder_cache",
    "/reset_mm_cache",
    "/reset_prefix_cache",
    "/resume",
    "/shutdown_weight_transfer_engine",
    "/sleep",
    "/start_draft_weight_update",
    "/start_profile",
    "/start_weight_update",
    "/stop_profile",
    "/update_weight_version",
    "/update_weights",
    "/v1/load_lora_adapter",
    "/v1/unload_lora_adapter",
    "/wake_up",
}

GUARDED = ("/v1", "/v2", "/inference", "/cohere")
"""Below these vLLM asks for the API key, if there is one."""


def goes_everywhere(method: str, path: str) -> bool:
    """Whether it changes the server, so that each replica must be told."""
    return method == "POST" and path in _EVERYWHERE


def asks_everywhere(path: str) -> bool:
    """Whether only one replica knows what is asked for: a response that it stored."""
    return path.startswith("/v1/responses/")
