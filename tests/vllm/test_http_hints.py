"""Headers and fields of a request, the best of each first; whatever a client sends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.vllm.hints import (
    CLASS_HINT,
    EXPECTED_HINT,
    SESSION_HINT,
    TIER_HINT,
    TPOT_HINT,
    TTFT_HINT,
)
from lengthwise.vllm.http_hints import IDENTITY, Said, read
from lengthwise.workload.clients import TENANT_HINT


def said(body: Any = None, **headers: str) -> Said:
    """What is read of a body, and of headers with underscores for dashes."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return read(raw, None if body is None else json.dumps(body).encode())


def test_a_request_without_hints_has_none() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "service_tier": "auto"}
    found = said(body, host="h", content_type="application/json")
    assert (found.needs, found.by_headers, found.by_body) == ({}, {}, {})
    assert found.places == {"headers": (), "body": ()}


def test_expected_tokens_are_the_clients_own_number_before_its_predicted_text() -> None:
    text = {"type": "content", "content": "x" * 400}
    assert said({"prediction": text}).needs == {EXPECTED_HINT: 100}
    hints = {"nvext": {"agent_hints": {"osl": 7}}}
    assert said({"prediction": text, **hints}).needs == {EXPECTED_HINT: 7}


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        ("x", 1),
        ("", None),
        (None, None),
        ([], None),
        ([{"type": "text", "text": "x" * 40}, {"type": "text", "text": "x" * 40}], 20),
        (["x" * 8, 5, {"text": 5}, {}], 2),
        ("\u5929" * 4, 3),
    ],
)
def test_a_predicted_text_counts_four_bytes_a_token(content: Any, tokens: int | None) -> None:
    expected = {} if tokens is None else {EXPECTED_HINT: tokens}
    assert said({"prediction": {"type": "content", "content": content}}).needs == expected


def test_targets_and_session_come_from_headers() -> None:
    headers = {"x_llm_d_slo_ttft_ms": "250", "x_llm_d_slo_tpot_ms": "12.5", "x_session_id": "s"}
    found = said({"session_id": "t"}, **headers)
    assert found.needs == {TTFT_HINT: 250.0, TPOT_HINT: 12.5, SESSION_HINT: "s"}
    assert said({"session_id": "t"}).needs == {SESSION_HINT: "t"}


def test_what_is_no_number_stays_a_text_for_the_engine_to_count() -> None:
    assert said(x_llm_d_slo_ttft_ms="soon").needs == {TTFT_HINT: "soon"}


def test_a_tenant_is_the_best_of_those_named() -> None:
    found = said(
        {"user": "u", "safety_identifier": "s", "service_tier": "flex"},
        x_litellm_customer_id="c",
        x_llm_d_inference_fairness_id="f",
        x_vllm_priority="-5",
        x_lengthwise_class="chat",
    )
    assert found.by_headers == {TENANT_HINT: "f", "priority": "-5", CLASS_HINT: "chat"}
    assert found.by_body == {TENANT_HINT: "s", TIER_HINT: "flex"}
    assert found.places["body"] == ("safety_identifier", "user", "service_tier")
    assert "x-litellm-customer-id" in found.places["headers"]
    assert said({"user": "u"}).by_body == {TENANT_HINT: "u"}


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    plain, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=9), each)
)
FIELDS = ["user", "safety_identifier", "service_tier", "session_id", "prediction", "nvext"]


@settings(max_examples=30)
@given(
    st.dictionaries(st.sampled_from([*FIELDS, "other"]), values),
    st.dictionaries(st.sampled_from([*IDENTITY, b"x-session-id"]), st.binary(max_size=30)),
)
def test_any_json_and_any_header_can_be_read(
    body: dict[str, Any], headers: dict[bytes, bytes]
) -> None:
    found = read(list(headers.items()), json.dumps(body).encode())
    assert found.by_body.keys() <= {TENANT_HINT, TIER_HINT}
    assert found.by_headers.keys() <= {TENANT_HINT, CLASS_HINT, "priority"}


@settings(max_examples=30)
@given(st.binary(max_size=50))
def test_what_is_no_json_has_no_hints(body: bytes) -> None:
    assert isinstance(read([], body), Said)


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"[]", b"null", b'{"user": "u"', b"\xff", b'{"user": ' + b"9" * 5000 + b"}"),
        *(b"[" * 10**5, b'{"nvext": ' + b"[" * 10**5, b'{"user": NaN}', b'{"user": 1e999}'),
    ],
)
def test_a_body_that_vllm_will_refuse_has_no_hints(body: bytes) -> None:
    assert read([], body).by_body == {}
