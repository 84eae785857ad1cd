"""Hints of HTTP join their request; who it is, only from the place that is trusted."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.prediction import point
from lengthwise.core.service import Target
from lengthwise.vllm import hints_middleware, trust
from lengthwise.vllm.hints import (
    CLASS_HINT,
    EXPECTED_HINT,
    LATENCY_HINT,
    PREDICTED_HINT,
    TIER_HINT,
    TPOT_HINT,
    TTFT_HINT,
    UNTRUSTED_HINT,
    Hints,
    fit_to_travel,
)
from lengthwise.vllm.hints_middleware import Heard
from lengthwise.vllm.http_hints import IDENTITY
from lengthwise.vllm.ignored import Ignored
from lengthwise.vllm.settings import TRUSTS
from lengthwise.vllm.trust import bring
from lengthwise.workload.clients import LONGEST_NAME, TENANT_HINT, WHOLE

MOST = 50
GATEWAY = {
    b"x-litellm-customer-id": b"acme",
    b"x-vllm-priority": b"-5",
    b"x-lengthwise-class": b"a",
}


def request(priority: Any = 0, **hints: Any) -> Any:
    """A vLLM request as it leaves the API server."""
    params = SimpleNamespace(extra_args=hints or None)
    return SimpleNamespace(sampling_params=params, max_tokens=MOST, priority=priority)


@contextmanager
def serving(headers: dict[bytes, bytes], body: bytes) -> Iterator[None]:
    """While the middleware serves this."""
    source = Heard([(b"content-type", b"application/json"), *headers.items()])
    source._take(body)
    before = hints_middleware._heard.set(source)
    try:
        yield
    finally:
        hints_middleware._heard.reset(before)


def brought(
    place: str, it: Any, body: Any = None, headers: dict[bytes, bytes] | None = None
) -> dict[str, Any]:
    """The request's hints when it leaves for the engine."""
    with serving(headers or {}, json.dumps(body or {}).encode()):
        found = bring(it, place).sampling_params.extra_args
    return found or {}


@pytest.fixture(autouse=True)
def _untold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_told", set())


@pytest.mark.parametrize("place", TRUSTS)
def test_a_request_without_hints_stays_the_object_that_it_was(place: str) -> None:
    it = request()
    params = it.sampling_params
    assert brought(place, it, {"prompt": "Hi"}) == {}
    assert it.sampling_params is params
    assert bring(it, "body").sampling_params is params, "outside of HTTP"


def test_the_clients_own_parameters_stay_as_they_are() -> None:
    it = request(other=1)
    before = it.sampling_params
    assert brought("body", it, {"user": "u"}) == {"other": 1, TENANT_HINT: "u"}
    assert before.extra_args == {"other": 1}


def test_vllm_xargs_come_before_other_fields() -> None:
    body = {"user": "u", "nvext": {"agent_hints": {"osl": 9}}}
    assert brought("body", request(**{TENANT_HINT: "t", EXPECTED_HINT: 5}), body) == {
        TENANT_HINT: "t",
        EXPECTED_HINT: 5,
    }


def test_bodies_are_believed_and_headers_are_not_unless_told_otherwise() -> None:
    it = request(3)
    found = brought("body", it, {"user": "u", "service_tier": "flex"}, GATEWAY)
    assert found.pop(UNTRUSTED_HINT) == [name.decode() for name in IDENTITY if name in GATEWAY]
    assert found == {TENANT_HINT: "u", TIER_HINT: "flex"}
    assert it.priority == 3


def test_of_a_gateways_clients_only_headers_are_believed() -> None:
    body = {"user": "u", "service_tier": "priority", "nvext": {"agent_hints": {"osl": 9}}}
    it = request(-9, **{TENANT_HINT: "t", CLASS_HINT: "b", TIER_HINT: "c", "other": 1})
    found = brought("headers", it, body, GATEWAY)
    assert found.pop(UNTRUSTED_HINT) == [
        *("user", "service_tier"),
        *sorted([TENANT_HINT, CLASS_HINT, TIER_HINT]),
    ]
    assert found == {TENANT_HINT: "acme", CLASS_HINT: "a", EXPECTED_HINT: 9, "other": 1}
    assert it.priority == -5


def test_without_a_gateways_header_nobody_has_a_priority() -> None:
    it = request(-9)
    assert brought("headers", it) == {UNTRUSTED_HINT: ["priority"]}
    assert it.priority == 0
    for said in (b"soon", b"1e3", str(2**64).encode(), b"9" * 5000):
        it = request()
        brought("headers", it, {}, {b"x-vllm-priority": said})
        assert it.priority == 0


def test_nobody_may_be_believed_at_all() -> None:
    it = request(-9, **{TENANT_HINT: "t"})
    found = brought("none", it, {"safety_identifier": "s"}, GATEWAY)
    assert found.keys() == {UNTRUSTED_HINT}
    assert len(found[UNTRUSTED_HINT]) == len(GATEWAY) + 3
    assert it.priority == 0


@pytest.mark.parametrize("place", ["headers", "none"])
def test_past_the_middleware_nobody_is_believed_either(place: str) -> None:
    it = bring(request(-9, **{TENANT_HINT: "t"}), place)
    assert it.sampling_params.extra_args.keys() == {UNTRUSTED_HINT}
    assert it.priority == 0


def test_a_client_cannot_make_the_list_of_the_untrusted() -> None:
    assert brought("body", request(**{UNTRUSTED_HINT: ["x"]}), {"prompt": "Hi"}) == {}


def test_only_behind_a_router_a_prediction_may_be_more_than_a_number() -> None:
    forged = request(**{PREDICTED_HINT: [1.0]})
    assert bring(forged, "body").sampling_params.extra_args == {UNTRUSTED_HINT: [PREDICTED_HINT]}
    routed = request(**{PREDICTED_HINT: [1.0]})
    assert bring(routed, "body", routed=True).sampling_params.extra_args == {PREDICTED_HINT: [1.0]}
    for said in (5, {"tokens": 5.0}):
        it = request(**{PREDICTED_HINT: said})
        assert bring(it, "body").sampling_params.extra_args == {PREDICTED_HINT: said}


def test_each_cause_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "vllm.lengthwise"):
        for _ in range(3):
            brought("body", request(), {}, GATEWAY)
            bring(request(), "headers")
    assert len(caplog.records) == len(GATEWAY) + 1


def test_what_embeds_has_no_hints() -> None:
    it = SimpleNamespace(sampling_params=None, priority=0)
    with serving(GATEWAY, b'{"user": "u"}'):
        assert bring(it, "headers") is it


def test_the_engine_counts_what_was_not_believed() -> None:
    it, ignored = request(), Ignored()
    brought("body", it, {}, GATEWAY)
    Hints.of(fit_to_travel(it), ignored)
    assert ignored.counts == {"untrusted": len(GATEWAY)}


def test_the_engine_has_what_was_said() -> None:
    body = {
        **{"user": "acme", "service_tier": "priority", "session_id": "s"},
        **{"prediction": {"type": "content", "content": "x" * 40}},
    }
    headers = {b"x-llm-d-slo-ttft-ms": b"250", b"x-llm-d-slo-tpot-ms": b"20"}
    it = request(**{LATENCY_HINT: 1500, CLASS_HINT: "chat"})
    brought("body", it, body, headers)
    hints = Hints.of(fit_to_travel(it), Ignored())
    assert hints == Hints(
        **{"tenant": "acme", "template": "acme", "predicted": point(10.0, "client")},
        **{"target": Target(0.25, 0.02, 1.5), "service": "chat"},
        **{"tier": "priority", "session": "s"},
    )
    assert hints.precedence == -1


plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.just("x" * 300)
)
values = st.recursive(
    plain, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=9), each)
)
FIELDS = ["user", "safety_identifier", "service_tier", "session_id", "prediction", "nvext"]
KEYS = [
    *(TENANT_HINT, CLASS_HINT, TIER_HINT, TTFT_HINT, TPOT_HINT, LATENCY_HINT),
    *(EXPECTED_HINT, UNTRUSTED_HINT),
]
HEADERS = [*IDENTITY, b"x-llm-d-slo-ttft-ms", b"x-llm-d-slo-tpot-ms", b"x-session-id"]


@settings(max_examples=40)
@given(
    st.sampled_from(TRUSTS),
    st.dictionaries(st.sampled_from(FIELDS), values, max_size=4),
    st.dictionaries(st.sampled_from(HEADERS), st.binary(max_size=20), max_size=4),
    st.dictionaries(st.sampled_from(KEYS), values, max_size=4),
    values,
)
def test_whatever_is_sent_reaches_the_engine_within_its_limits(
    place: str, body: Any, headers: Any, xargs: Any, priority: Any
) -> None:
    it = request(priority, **xargs)
    brought(place, it, body, headers)
    it = fit_to_travel(it)
    sent = (it.sampling_params.extra_args, it.priority)
    extra, arrived = msgspec.msgpack.decode(msgspec.msgpack.encode(sent))
    hints = Hints.of(request(arrived, **(extra or {})), Ignored())
    for name in (hints.tenant, hints.service, hints.tier, hints.session):
        assert name is None or 0 < len(name) <= LONGEST_NAME
    for seconds in (hints.target.ttft, hints.target.tpot, hints.target.deadline):
        assert seconds is None or 0 <= seconds < 10**7
    assert hints.predicted is None or 1 <= hints.predicted.tokens <= MOST
    assert hints.priority in WHOLE
    hash(hints)
