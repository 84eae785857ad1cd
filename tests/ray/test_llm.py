"""Requests of ``ray.serve.llm`` as our routers see them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("ray.serve", reason="needs Ray Serve: pip install lengthwise[ray]")
from pydantic import BaseModel

from lengthwise.core.prediction import point
from lengthwise.ray.balancer import Balancer
from lengthwise.ray.llm import LLMRouter, router_config
from lengthwise.routing import Capacity
from lengthwise.vllm.hints import PREDICTED_HINT


class ChatCompletionRequest(BaseModel):
    """As vLLM's, whose import takes ten seconds."""

    messages: list[dict[str, str]]
    max_tokens: int | None = None
    vllm_xargs: dict[str, Any] | None = None


class CompletionRequest(BaseModel):
    """Likewise."""

    prompt: list[int]
    vllm_xargs: dict[str, Any] | None = None


def router() -> Any:
    made: Any = LLMRouter.__new__(LLMRouter)
    made.balancer, made._ids = Balancer("least-work", Capacity(2)), {}
    made.balancer.sees({name: made.status(None) for name in "ab"})
    return made


def call(*args: Any) -> Any:
    return SimpleNamespace(args=args, metadata=SimpleNamespace(internal_request_id="1"))


def test_its_work_is_read_off_its_objects() -> None:
    chat = ChatCompletionRequest(messages=[{"role": "user", "content": "x" * 900}], max_tokens=7)
    found = router().asked(call(chat, None))
    assert (found.most, len(found.prefix.blocks)) == (7.0, 3)
    ids = CompletionRequest(prompt=[1, 2, 3])
    assert router().asked(call(ids)).ids == [1, 2, 3]
    assert router().asked(call("else")).body == {}


def test_its_replicas_take_requests_though_they_report_nothing() -> None:
    it = router()
    for again in range(2):
        first = it._place(call(CompletionRequest(prompt=[1, 2, 3])))
        assert first in ("a", "b")
        it.balancer.sees({name: it.status(None) for name in "ab"})
        assert sum(it.balancer.describe()["in_flight"].values()) == 1, again


def test_a_prediction_goes_along() -> None:
    asked = CompletionRequest(prompt=[1], vllm_xargs={"mine": 1})
    router().placed(call(asked), point(30.0, "router"))
    assert asked.vllm_xargs == {"mine": 1, PREDICTED_HINT: [30.0, 0.0]}


def test_the_config_names_it() -> None:
    made = router_config("p2c", seats=9)
    assert made.get_request_router_class() is LLMRouter
    assert made.request_router_kwargs["seats"] == 9
