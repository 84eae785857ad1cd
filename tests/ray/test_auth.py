"""The API key."""

from __future__ import annotations

import pytest

from lengthwise.ray.auth import Keys

GOOD = [(b"authorization", b"Bearer two")]


@pytest.mark.parametrize(
    ("path", "headers", "opens"),
    [
        ("/v1/models", GOOD, True),
        ("/v1/models", [(b"authorization", b"bearer one")], True),
        ("/v1/models", [(b"authorization", b"Bearer three")], False),
        ("/v1/models", [(b"authorization", b"Basic two")], False),
        ("/v1/models", [(b"authorization", b"\xff\xfe")], False),
        ("/v1/models", [], False),
        ("/v1/routing", [], False),
        ("/inference/v1/generate", [], False),
        ("/health", [], True),
    ],
)
def test_a_key_opens_what_vllm_guards(
    path: str, headers: list[tuple[bytes, bytes]], opens: bool
) -> None:
    assert Keys(["one", "two"]).open("POST", path, headers) is opens


def test_without_keys_and_for_preflights_all_is_open() -> None:
    assert Keys([]).open("POST", "/v1/models", [])
    assert not Keys([]).any
    assert Keys(["one"]).open("OPTIONS", "/v1/models", [])
