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
    NoPredictor,
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
    """Predicts 7 tokens of what it has been asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gone: list[str] = []

    def submit(self, request: Any, hints: Hints) -> bool:
        self.asked.append(request.request_id)
        return True

    def ready(self) -> Ready:
        asked, self.asked = self.asked, []
        return [(id, OWN) for id in asked]

    def finished(self, request: Any) -> None:
        self.gone.append(request.request_id)


def request(id: str, tokens: int = 1, reason: str = "stop") -> Any:
    return SimpleNamespace(
        request_id=id, num_output_tokens=tokens, get_finished_reason=lambda: reason
    )


def said(tokens: float, tenant: str | None = None) -> Hints:
    return Hints(tenant, predicted=point(tokens, "client"))


def from_router(tokens: float) -> Hints:
    return Hints(predicted=point(tokens, "router"))


def serve(handed: HandedOnPredictor, hints: Hints, tokens: int, reason: str = "stop") -> Ready:
    """One request from arrival to end; what was predicted of it."""
    handed.submit(request("r"), hints)
    found = handed.ready()
    handed.finished(request("r", tokens, reason))
    return found


def learned(own: ArrivalPredictor, tenant: str) -> HandedOnPredictor:
    """One that knows a client that is right."""
    handed = HandedOnPredictor(own)
    for tokens in range(20, 120):
        serve(handed, said(tokens, tenant), tokens)
    return handed


def test_what_a_router_predicted_acts_at_once_and_after_ours_came() -> None:
    handed = HandedOnPredictor(Own())
    assert handed.submit(request("a"), from_router(30.0))
    expected = ("a", point(30.0, "router"))
    assert handed.ready() == [expected, expected]
    assert handed.ready() == []
    alone = HandedOnPredictor(NoPredictor())
    assert alone.submit(request("a"), from_router(30.0))
    assert alone.ready() == [expected]


def test_what_a_client_says_is_not_believed_before_it_was_right() -> None:
    handed = HandedOnPredictor(Own())
    assert handed.submit(request("a"), said(30.0))
    assert handed.ready() == [("a", OWN)]
    alone = HandedOnPredictor(NoPredictor())
    assert not alone.submit(request("a"), said(30.0)), "nothing is awaited"
    assert alone.ready() == []


def test_what_a_client_says_acts_once_it_was_right() -> None:
    for own in (Own(), NoPredictor()):
        handed = learned(own, "acme")
        found = serve(handed, said(60.0, "acme"), 60)
        for id, prediction in found:
            assert id == "r"
            assert prediction is not None
            assert prediction.source == "client"
            assert prediction.tokens == pytest.approx(60.0, rel=0.3)
        assert len(found) == 1 + isinstance(own, Own)
        assert serve(handed, said(60.0, "other"), 60) in ([], [("r", OWN)])


def test_requests_whose_hints_act_are_counted() -> None:
    handed = learned(NoPredictor(), "acme")
    before = handed.stats()
    serve(handed, said(60.0, "acme"), 60)
    serve(handed, said(60.0, "other"), 60)
    serve(handed, Hints(), 60)
    after = handed.stats()
    assert after["used_hints"] == before["used_hints"] + 1
    assert after["unused_hints"] == before["unused_hints"] + 1
    assert after["hint_sources"] == 2


def test_given_up_requests_are_lower_bounds() -> None:
    handed = HandedOnPredictor(NoPredictor())
    for tokens in range(20, 120):
        serve(handed, said(tokens), tokens, "abort")
    assert handed.priors.prediction("", point(60.0, "client"), None) is None


def test_hints_of_requests_that_never_finish_here_are_forgotten() -> None:
    handed = HandedOnPredictor(NoPredictor())
    for i in range(17_000):
        handed.submit(request(str(i)), said(30.0))
    handed.finished(request("0"))
    assert handed.stats()["unused_hints"] == 0
    handed.finished(request("16999"))
    assert handed.stats()["unused_hints"] == 1


def test_a_request_without_a_hint_is_the_others() -> None:
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
            _wrapped(lambda **given: made.append(given), lambda client: None)(**arguments)
    with pytest.raises(UserError, match="lengthwise bench only"):
        _wrapped(made.append, lambda client: None)(config)
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
