"""What an HTTP request says beside its prompt: headers of gateways, fields of the OpenAI API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from lengthwise.vllm.hints import (
    CLASS_HINT,
    EXPECTED_HINT,
    SESSION_HINT,
    TIER_HINT,
    TPOT_HINT,
    TTFT_HINT,
)
from lengthwise.workload.clients import TENANT_HINT

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""

PRIORITY_HEADER = b"x-vllm-priority"
"""vLLM's own."""

IDENTITY = {
    b"x-lengthwise-tenant": TENANT_HINT,
    b"x-llm-d-inference-fairness-id": TENANT_HINT,
    b"x-gateway-inference-fairness-id": TENANT_HINT,
    b"x-litellm-customer-id": TENANT_HINT,
    b"x-litellm-end-user-id": TENANT_HINT,
    b"x-lengthwise-class": CLASS_HINT,
    b"x-llm-d-inference-objective": CLASS_HINT,
    PRIORITY_HEADER: "priority",
}
"""Headers that say whose request it is, by which it may go first; the best of each first."""

_NEEDS = {
    b"x-llm-d-slo-ttft-ms": TTFT_HINT,
    b"x-llm-d-slo-tpot-ms": TPOT_HINT,
    b"x-session-id": SESSION_HINT,
}
"""Headers that anybody's request may have."""

_ORDINARY = ("auto", "default")
"""Service tiers that ask for nothing."""

_BYTES_PER_TOKEN = 4
"""Of a text of unknown language. Who is wrong by a factor is put right by its own requests."""


class _Body(msgspec.Struct):
    user: Any = None
    safety_identifier: Any = None
    service_tier: Any = None
    session_id: Any = None
    prediction: Any = None
    nvext: Any = None


_decoder = msgspec.json.Decoder(_Body)


@dataclass(frozen=True)
class Said:
    """The hints of one HTTP request, by their keys in a request's ``extra_args``.

    Attributes:
        needs: what the request needs: expected tokens, targets, session.
        by_headers: whose request it is, as headers say; vLLM's ``priority`` among them.
        by_body: the same, as fields of the body say beside ``vllm_xargs`` and ``priority``.
        places: each of these two's headers and fields, as clients know them, by place.
    """

    needs: Mapping[str, Any] = field(default_factory=dict)
    by_headers: Mapping[str, Any] = field(default_factory=dict)
    by_body: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read(headers: Headers, body: bytes | None) -> Said:
    """The hints in headers and body.

    Args:
        headers: of the request.
        body: its JSON; None if it has none, or was too large to be looked at.
    """
    found = {name: value for name, value in headers if name in IDENTITY or name in _NEEDS}
    fields = _fields(body)
    # From the worst place to the best, which wins.
    needs = dict(_needs_of(fields))
    needs |= {_NEEDS[name]: _number(found[name]) for name in _NEEDS if name in found}
    naming = [name for name in IDENTITY if name in found]
    by_headers = {IDENTITY[name]: _text(found[name]) for name in reversed(naming)}
    named = dict(_names_of(fields))
    places = {"headers": tuple(name.decode() for name in naming), "body": tuple(named)}
    by_body = dict(reversed(named.values()))
    return Said(needs, by_headers, by_body, places)


def _fields(body: bytes | None) -> _Body:
    """The fields that we read; none where vLLM will answer that the JSON is bad."""
    if body is None:
        return _Body()
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Body()


def _needs_of(fields: _Body) -> Iterator[tuple[str, Any]]:
    expected = _expected(fields)
    if expected is not None:
        yield EXPECTED_HINT, expected
    if isinstance(fields.session_id, str):
        yield SESSION_HINT, fields.session_id


def _names_of(fields: _Body) -> Iterator[tuple[str, tuple[str, Any]]]:
    """Fields that say whose request it is, the best of each first: hint and value by field."""
    if fields.safety_identifier is not None:
        yield "safety_identifier", (TENANT_HINT, fields.safety_identifier)
    if fields.user is not None:
        yield "user", (TENANT_HINT, fields.user)
    if isinstance(fields.service_tier, str) and fields.service_tier not in _ORDINARY:
        yield "service_tier", (TIER_HINT, fields.service_tier)


def _expected(fields: _Body) -> Any:
    """Tokens that Dynamo's clients expect, or those of a predicted output."""
    hints = fields.nvext.get("agent_hints") if isinstance(fields.nvext, dict) else None
    tokens = hints.get("osl") if isinstance(hints, dict) else None
    if tokens is not None:
        return tokens
    if not isinstance(fields.prediction, dict):
        return None
    content = fields.prediction.get("content")
    parts = content if isinstance(content, list) else [content]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    size = sum(len(text.encode(errors="replace")) for text in texts if isinstance(text, str))
    return max(round(size / _BYTES_PER_TOKEN), 1) if size else None


def _number(value: bytes) -> Any:
    """A header's number; its text where it is none, for the engine to count."""
    try:
        return float(value)
    except ValueError:
        return _text(value)


def _text(value: bytes) -> str:
    return value.decode("latin-1").strip()
