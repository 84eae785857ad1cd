"""Our routers for those who serve by ``ray.serve.llm``: its replicas, its HTTP, our choice.

``LLMConfig(deployment_config={"request_router_config": router_config(), ...})``. Its replicas
report nothing, so a router knows what it sent itself. For our order within the engine, give vLLM
``engine_kwargs={"scheduler_cls": "lengthwise.vllm.Scheduler"}``.
"""

from __future__ import annotations

import uuid
from typing import Any

from ray.serve.config import RequestRouterConfig
from ray.serve.request_router import PendingRequest, RunningReplica

from lengthwise.core.handed_on import packed
from lengthwise.core.prediction import Prediction
from lengthwise.ray.asked import Asked, read
from lengthwise.ray.router import LengthwiseRouter
from lengthwise.ray.status import Status
from lengthwise.vllm.hints import PREDICTED_HINT

_CHAT, _COMPLETIONS = "/v1/chat/completions", "/v1/completions"


class LLMRouter(LengthwiseRouter):
    """Chooses by the work of ``ray.serve.llm``'s requests, which come as its own objects."""

    def status(self, replica: RunningReplica) -> Status | None:
        """Every replica takes requests; nothing is reported of them."""
        return Status(at=0.0, address="")

    def asked(self, pending: PendingRequest) -> Asked:
        """What the request asks for; nothing known of other calls."""
        id = uuid.uuid4().hex
        for each in pending.args or ():
            for field, path in (("messages", _CHAT), ("prompt", _COMPLETIONS)):
                if hasattr(each, field):
                    return read(id, path, each.model_dump_json(exclude_none=True).encode())
        return Asked(id, {})

    def placed(self, pending: PendingRequest, predicted: Prediction | None) -> None:
        """The scheduler of the replica need not predict it again."""
        if predicted is None:
            return
        for each in pending.args or ():
            if hasattr(each, "vllm_xargs"):
                each.vllm_xargs = {**(each.vllm_xargs or {}), PREDICTED_HINT: packed(predicted)}


def router_config(
    router: str = "least-work",
    model: str = "",
    predictor: str | None = None,
    seats: int = 256,
    ranked: bool = True,
    **options: Any,
) -> RequestRouterConfig:
    """What ``request_router_config`` of a deployment takes.

    Args:
        router: one of :data:`lengthwise.routing.ROUTERS`.
        model: folder of the model, for its tokenizer; only with a predictor.
        predictor: folder of the predictors, for routers that read predictions.
        seats: the engine's ``max_num_seqs``.
        ranked: whether the engines serve shorter requests first.
        options: further fields of Ray Serve's ``RequestRouterConfig``.
    """
    return RequestRouterConfig(
        request_router_class="lengthwise.ray.llm.LLMRouter",
        request_router_kwargs={
            "router": router,
            "model": model,
            "probe": predictor,
            "seats": seats,
            "ranked": ranked,
        },
        **options,
    )
