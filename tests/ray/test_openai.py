"""OpenAI's bodies and answers."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from lengthwise.errors import UserError
from lengthwise.ray import openai

COMPLETIONS, CHAT = openai.PATHS


class Tokenizer:
    """A token a word."""

    def encode(self, text: str) -> list[int]:
        return [len(word) for word in text.split()]

    def apply_chat_template(self, messages: list[dict[str, str]], **options: Any) -> list[int]:
        if messages[0]["role"] not in ("system", "user"):
            raise ValueError("unknown role")
        return [0, *self.encode(" ".join(each["content"] for each in messages))]


def parse(path: str, **body: Any) -> openai.Ask:
    return openai.parse(path, body, "id", "model", Tokenizer(), 20)


def event(text: str) -> dict[str, Any]:
    assert text.startswith("data: ")
    assert text.endswith("\n\n")
    found: dict[str, Any] = json.loads(text.removeprefix("data: "))
    return found


def test_a_completion_becomes_a_request() -> None:
    ask = parse(COMPLETIONS, prompt="ab c", temperature=0, stop=["x"], user="me")
    assert ask.request == {
        "id": "id",
        "prompt_ids": [2, 1],
        "max_tokens": 16,
        "temperature": 0,
        "stop": ["x"],
    }
    assert not ask.stream


def test_token_ids_are_taken_as_they_are() -> None:
    assert parse(COMPLETIONS, prompt=[7, 8]).request["prompt_ids"] == [7, 8]


def test_a_chat_may_fill_the_context() -> None:
    ask = parse(CHAT, messages=[{"role": "user", "content": "hi you"}])
    assert ask.request["prompt_ids"] == [0, 2, 3]
    assert ask.request["max_tokens"] == 17


def test_max_tokens_is_cut_to_what_fits() -> None:
    assert parse(COMPLETIONS, prompt="a", max_tokens=500).request["max_tokens"] == 19


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (COMPLETIONS, {}, "prompt is a text"),
        (COMPLETIONS, {"prompt": ["a"]}, "prompt is a text"),
        (COMPLETIONS, {"prompt": ""}, "1 to 19 tokens, not 0"),
        (COMPLETIONS, {"prompt": "a " * 20}, "1 to 19 tokens, not 20"),
        (COMPLETIONS, {"prompt": "a", "max_tokens": "x"}, "max_tokens is a whole number"),
        (COMPLETIONS, {"prompt": "a", "max_tokens": -1}, "max_tokens is a whole number"),
        (COMPLETIONS, {"prompt": "a", "cache_salt": ""}, "cache_salt is a text"),
        (COMPLETIONS, {"prompt": "a", "cache_salt": 3}, "cache_salt is a text"),
        (COMPLETIONS, {"prompt": "a", "priority": "x"}, "priority is not a whole number"),
        (COMPLETIONS, {"prompt": "a", "priority": 2**63}, "priority is not a whole number"),
        (COMPLETIONS, {"prompt": "a", "vllm_xargs": {"lengthwise_tenant": [1]}}, "is a name"),
        (COMPLETIONS, {"prompt": [1, -1]}, "prompt is a text"),
        (COMPLETIONS, {"prompt": [True]}, "prompt is a text"),
        (COMPLETIONS, {"prompt": "a", "temperature": "hot"}, "temperature is a number, not 'hot'"),
        (COMPLETIONS, {"prompt": "a", "temperature": math.nan}, "temperature is a number, not nan"),
        (COMPLETIONS, {"prompt": "a", "top_p": [1]}, "top_p is a number, not a list"),
        (COMPLETIONS, {"prompt": "a", "seed": 10**4000}, "seed is a whole number, not a int"),
        (COMPLETIONS, {"prompt": "a", "top_k": 0.5}, "top_k is a whole number, not 0.5"),
        (COMPLETIONS, {"prompt": "a", "stop": ["a", 1]}, "stop is a text or a list of texts"),
        (COMPLETIONS, {"prompt": "a", "max_tokens": [10**4000]}, "1, not a list"),
        (COMPLETIONS, {"prompt": "a", "n": 2}, "n above 1 is not served"),
        (COMPLETIONS, {"prompt": "a", "logprobs": 3}, "logprobs is not served"),
        (CHAT, {}, "messages is a list"),
        (CHAT, {"messages": [{"role": "user"}]}, "its content is a text"),
        (CHAT, {"messages": [{"role": "x", "content": "a"}]}, "refused the messages: unknown role"),
    ],
)
def test_bad_bodies_are_one_line(path: str, body: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        parse(path, **body)
    assert "\n" not in str(refused.value)


def test_a_whole_answer_counts_its_tokens() -> None:
    ask = parse(CHAT, messages=[{"role": "user", "content": "hi"}])
    answer = openai.whole(ask, "hello you", 2, "stop")
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "hello you"}
    assert answer["usage"] == {"prompt_tokens": 2, "completion_tokens": 2, "total_tokens": 4}


def test_a_stream_names_its_replica_and_token_ids_if_asked() -> None:
    chunk = {"text": "b", "ids": [7, 8], "finish": "stop", "replica": "r1"}
    asked = event(openai.piece(parse(COMPLETIONS, prompt="a", return_token_ids=True), chunk))
    assert asked["replica"] == "r1"
    assert asked["choices"][0]["token_ids"] == [7, 8]
    plain = event(openai.piece(parse(COMPLETIONS, prompt="a"), chunk))
    assert "token_ids" not in plain["choices"][0]


def test_a_cache_salt_travels_with_the_request() -> None:
    assert parse(COMPLETIONS, prompt="a", cache_salt="mine").request["cache_salt"] == "mine"
    assert "cache_salt" not in parse(COMPLETIONS, prompt="a").request


def test_tenant_and_class_travel_with_the_request() -> None:
    said = {"priority": -1, "vllm_xargs": {"lengthwise_tenant": "acme", "other": 3}}
    request = parse(COMPLETIONS, prompt="a", **said).request
    assert (request["tenant"], request["priority"]) == ("acme", -1)
    assert not {"tenant", "priority"} & parse(COMPLETIONS, prompt="a").request.keys()


def test_a_stream_is_events_usage_and_done() -> None:
    ask = parse(COMPLETIONS, prompt="a", stream=True, stream_options={"include_usage": True})
    chunk = {"text": "b", "ids": [7], "finish": None, "replica": "r"}
    assert event(openai.piece(ask, chunk))["choices"][0]["text"] == "b"
    usage, done = openai.last(ask, 3).removesuffix("\n\n").split("\n\n")
    assert json.loads(usage.removeprefix("data: "))["usage"]["completion_tokens"] == 3
    assert done == "data: [DONE]"
    assert openai.last(parse(COMPLETIONS, prompt="a", stream=True), 3) == "data: [DONE]\n\n"
    assert event(openai.failed("gone"))["error"]["message"] == "gone"
