"""Predictions that a router made already, and true lengths that only a bench may tell."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from lengthwise.core.prediction import point
from lengthwise.errors import UserError
from lengthwise.vllm.arrivals import (
    ArrivalPredictor,
    HandedOnPredictor,
    OraclePredictor,
    Ready,
    check_policy,
    make_arrival_predictor,
)
from lengthwise.vllm.hints import Hints
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.slices.client import _wrapped

OWN = point(7.0, "prompt")


class Own(ArrivalPredictor):
    """Predicts 7 tokens and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gone: list[str] = []

    def submit(self, request: Any, hints: Hints) -> bool:
        self.asked.append(request.request_id)
        return True

    def ready(self) -> Ready:
        return [(id, OWN) for id in self.asked]

    def finished(self, request: Any) -> None:
        self.gone.append(request.request_id)


def request(id: str) -> Any:
    return SimpleNamespace(request_id=id)


def test_what_a_router_predicted_is_not_predicted_again() -> None:
    own = Own()
    handed = HandedOnPredictor(own)
    assert handed.submit(request("a"), Hints(predicted=point(30.0, "client")))
    assert own.asked == []
    assert handed.ready() == [("a", point(30.0, "client"))]
    assert handed.ready() == []


def test_a_request_without_a_prediction_is_asked_about() -> None:
    own = Own()
    handed = HandedOnPredictor(own)
    assert handed.submit(request("a"), Hints())
    assert handed.submit(request("b"), Hints(truth=1.0))
    assert own.asked == ["a", "b"]
    assert handed.ready() == [("a", OWN), ("b", OWN)]
    handed.finished(request("a"))
    assert own.gone == ["a"]


ORACLES = ["oracle", "oracle+fair", "oracle+priority+bound:10"]


@pytest.mark.parametrize("policy", ORACLES)
def test_no_setting_of_a_server_lets_the_oracle_in(policy: str) -> None:
    settings = Settings(policy=policy)
    with pytest.raises(UserError, match="lengthwise bench only"):
        make_arrival_predictor("oracle", settings, "model")
    made = []
    config = SimpleNamespace(additional_config=settings.additional_config())
    for arguments in ({"vllm_config": config}, {"asyncio_mode": True, "vllm_config": config}):
        with pytest.raises(UserError, match="lengthwise bench only"):
            _wrapped(lambda **given: made.append(given))(**arguments)
    with pytest.raises(UserError, match="lengthwise bench only"):
        _wrapped(made.append)(config)
    assert made == [], "refused before the engine starts"


def test_a_bench_lets_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OraclePredictor, "allowed", True)
    check_policy(Settings(policy="oracle"))
    oracle = make_arrival_predictor("oracle", Settings(policy="oracle"), "model")
    assert oracle.submit(request("a"), Hints(truth=9.0))
    assert not oracle.submit(request("b"), Hints(predicted=point(9.0, "client")))
    assert oracle.ready() == [("a", point(9.0, "oracle"))]


def test_other_policies_do_not_read_true_lengths() -> None:
    none = make_arrival_predictor("none", Settings(policy="fcfs"), "model")
    assert not none.submit(request("a"), Hints(truth=1.0))
    own = make_arrival_predictor("probe", Settings(policy="trail"), "model")
    assert not own.submit(request("a"), Hints(truth=1.0))
    assert own.ready() == []
