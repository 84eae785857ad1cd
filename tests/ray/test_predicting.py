"""Prompts as token ids, for predictors in front of engines."""

from __future__ import annotations

from typing import Any

import pytest

from lengthwise.ray.asked import Asked
from lengthwise.ray.predicting import Predicting, ids_of

HELLO = {"role": "user", "content": "hi there"}


class Tokenizer:
    """A token a word; a system message is one more."""

    def encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def apply_chat_template(self, messages: list[dict[str, str]], **options: Any) -> list[int]:
        if messages[-1]["role"] != "user":
            raise ValueError("unknown role")
        system = [0] * (messages[0]["role"] == "system")
        return [*system, *self.encode(messages[-1]["content"]), len(options["tools"] or ())]


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ({"prompt": "ab c"}, [2, 1]),
        ({"messages": [HELLO]}, [2, 5, 0]),
        ({"messages": [HELLO], "tools": [{}]}, [2, 5, 1]),
        ({"messages": [HELLO], "system": "be brief"}, [0, 2, 5, 0]),
        ({"input": "hi there", "instructions": "be brief"}, [0, 2, 5, 0]),
        ({"input": [HELLO]}, [2, 5, 0]),
        ({"messages": [{"role": "tool", "content": "x"}]}, None),
        ({"messages": 3}, None),
        ({"messages": []}, None),
        ({"prompt": ["two", "prompts"]}, None),
        ({}, None),
    ],
)
def test_each_route_s_prompt_becomes_ids_or_is_left_to_vllm(
    body: dict[str, Any], ids: list[int] | None
) -> None:
    assert ids_of(Asked("x", body), Tokenizer()) == ids


def test_ids_that_a_client_sends_are_taken_as_they_are() -> None:
    assert ids_of(Asked("x", {"prompt": [7]}, ids=[7]), Tokenizer()) == [7]


def test_without_a_predictor_or_a_body_nothing_is_predicted_or_loaded() -> None:
    assert Predicting("nowhere", None)(Asked("x", {"prompt": "hi"}), 1) is None
    assert Predicting("nowhere", "nowhere")(Asked("x", {}), 1) is None
