"""Predictions that a router made already."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from lengthwise.vllm.arrivals import PREDICTED_HINT, ArrivalPredictor, HandedOnPredictor


class Own(ArrivalPredictor):
    """Predicts 7 tokens and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gone: list[str] = []

    def submit(self, request: Any) -> bool:
        self.asked.append(request.request_id)
        return True

    def ready(self) -> list[tuple[str, float]]:
        return [(id, 7.0) for id in self.asked]

    def finished(self, request: Any) -> None:
        self.gone.append(request.request_id)


def request(id: str, **hints: float) -> Any:
    return SimpleNamespace(request_id=id, sampling_params=SimpleNamespace(extra_args=hints or None))


def test_what_a_router_predicted_is_not_predicted_again() -> None:
    own = Own()
    handed = HandedOnPredictor(own)
    assert handed.submit(request("a", **{PREDICTED_HINT: 30.0}))
    assert own.asked == []
    assert handed.ready() == [("a", 30.0)]
    assert handed.ready() == []


def test_a_request_without_a_prediction_is_asked_about() -> None:
    own = Own()
    handed = HandedOnPredictor(own)
    assert handed.submit(request("a"))
    assert handed.submit(request("b", other=1.0))
    assert own.asked == ["a", "b"]
    assert handed.ready() == [("a", 7.0), ("b", 7.0)]
    handed.finished(request("a"))
    assert own.gone == ["a"]
