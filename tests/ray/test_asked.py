"""What a body asks for."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.ray.asked import read, with_hints

CHAT = "/v1/chat/completions"


def asked(path: str = CHAT, **body: Any) -> Any:
    return read("id", path, json.dumps(body).encode())


def test_token_ids_are_counted_and_text_is_estimated() -> None:
    assert asked("/v1/completions", prompt=[7, 8, 9], max_tokens=5).tokens(4.0) == 3
    chat = asked(messages=[{"role": "user", "content": "x" * 400}])
    assert chat.ids is None
    assert 100 <= chat.tokens(4.0) <= 120
    assert chat.tokens(2.0) > chat.tokens(4.0)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_the_cap_has_several_names(name: str) -> None:
    assert asked(messages=[], **{name: 9}).most == 9
    for absurd in (0, -1, "9", 9.5, True, None):
        assert math.isinf(asked(messages=[], **{name: absurd}).most)


def test_a_longer_conversation_begins_with_the_shorter_one() -> None:
    first = [{"role": "user", "content": "a" * 700}]
    then = [*first, {"role": "assistant", "content": "b" * 700}]
    short, long = asked(messages=first).prefix, asked(messages=then).prefix
    assert len(short.blocks) >= 2
    assert long.blocks[: len(short.blocks)] == short.blocks
    salted = asked(messages=first, cache_salt="mine").prefix
    assert not set(salted.blocks) & set(short.blocks)


@settings(max_examples=30)
@given(st.binary(max_size=60))
def test_no_bytes_are_too_odd_to_pass_on(body: bytes) -> None:
    found = read("id", CHAT, body)
    assert isinstance(found.body, dict)
    sent = with_hints(body, found.body, {"x": 1})
    assert sent == body or json.loads(sent)["vllm_xargs"]["x"] == 1


@pytest.mark.parametrize("body", [b"[]", b"3", b"{", b"", b"[" * 5000])
def test_what_is_no_object_is_nothing_known(body: bytes) -> None:
    assert read("id", CHAT, body).body == {}
    assert with_hints(body, {}, {"x": 1}) == body


def test_hints_join_the_clients_own_and_nothing_else_changes() -> None:
    body = b'{"prompt": "hi", "big": 123456789012345678901234567890, "t": 0.10}  \n'
    sent = with_hints(body, read("id", CHAT, body).body, {"x": [1.5]})
    assert sent.startswith(body.rstrip()[:-1])
    assert json.loads(sent)["vllm_xargs"] == {"x": [1.5]}
    own = b'{"prompt": "hi", "vllm_xargs": {"a": 1, "x": 2}}'
    again = with_hints(own, read("id", CHAT, own).body, {"x": 3})
    assert json.loads(again)["vllm_xargs"] == {"a": 1, "x": 3}
    # vLLM says what is wrong with it.
    wrong = b'{"prompt": "hi", "vllm_xargs": 3}'
    assert with_hints(wrong, read("id", CHAT, wrong).body, {"x": 3}) == wrong


def test_other_routes_are_not_read() -> None:
    assert asked("/v1/embeddings", input="hi").body == {}
