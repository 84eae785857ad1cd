"""OpenAI's own client and gateways' headers: hints reach the engine, answers stay as they are."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from openai import OpenAI

KEY = "secret"
FILE = "HEARING_FILE"
"""As ``hearing.py`` reads it."""
ASKED: Any = [{"role": "user", "content": "Name three colours."}]
GATEWAY = {
    **{"x-litellm-customer-id": "acme", "X-Vllm-Priority": "-5", "X-Session-ID": "s1"},
    **{"x-llm-d-slo-ttft-ms": "250", "x-llm-d-slo-tpot-ms": "20"},
}


class Server(NamedTuple):
    """Where it listens, and what reached its engine."""

    address: str
    client: OpenAI
    file: Path

    def heard(self) -> dict[str, Any]:
        """The hints of the latest request."""
        found: dict[str, Any] = json.loads(self.file.read_text().splitlines()[-1])
        return found

    @property
    def count(self) -> int:
        """Requests that reached the engine."""
        return len(self.file.read_text().splitlines())


@pytest.fixture(scope="module")
def server(serving: Any, port: int, tmp_path_factory: Any) -> Iterator[Server]:
    """A server behind an API key, whose scheduler writes down what it hears."""
    folder = tmp_path_factory.mktemp("heard")
    file = folder / "heard"
    file.touch()
    before = os.environ.get("PYTHONPATH")
    path = os.pathsep.join(filter(None, [str(Path(__file__).parent), before]))
    flags = ["--api-key", KEY, "--scheduler-cls", "hearing.Hearing", "--max-num-seqs", "4"]
    own = {"PYTHONPATH": path, FILE: str(file)}
    with (
        serving(folder / "log", port, flags, **own) as address,
        OpenAI(base_url=f"{address}/v1", api_key=KEY, max_retries=0) as client,
    ):
        yield Server(address, client, file)


def chat(server: Server, model: Path, **more: Any) -> str:
    """The answer of a chat, at most 12 tokens long."""
    found = server.client.chat.completions.create(
        model=str(model), messages=ASKED, max_completion_tokens=12, temperature=0, **more
    )
    return str(found.choices[0].message.content)


def test_a_chats_fields_are_heard_and_change_no_answer(server: Server, model: Path) -> None:
    plain = chat(server, model)
    nothing = server.heard()
    assert (nothing["tenant"], nothing["predicted"], nothing["session"]) == (None, None, None)
    hinted = chat(
        server,
        model,
        prediction={"type": "content", "content": "Red, green and blue."},
        user="acme",
        service_tier="flex",
        extra_headers=GATEWAY,
        extra_body={"vllm_xargs": {"lengthwise_deadline_ms": 1500, "lengthwise_class": "chat"}},
    )
    assert hinted == plain
    heard = server.heard()
    assert (heard["tenant"], heard["tier"], heard["service"]) == ("acme", "flex", "chat")
    assert heard["predicted"] == 5
    assert heard["priority"] == 1, "the tier's, not that of an untrusted header"
    assert heard["target"] == {"ttft": 0.25, "tpot": 0.02, "deadline": 1.5}
    assert heard["until"] == pytest.approx(heard["at"] + 1.5)
    assert heard["session"] == "s1"
    assert heard["untrusted"] - nothing["untrusted"] == 2


def test_a_streamed_chat_is_the_same(server: Server, model: Path) -> None:
    plain = chat(server, model)
    stream: Any = server.client.chat.completions.create(
        model=str(model),
        messages=ASKED,
        max_completion_tokens=12,
        temperature=0,
        stream=True,
        safety_identifier="hashed",
        user="acme",
        extra_body={"nvext": {"agent_hints": {"osl": 7}}},
    )
    assert "".join(each.choices[0].delta.content or "" for each in stream) == plain
    assert (server.heard()["tenant"], server.heard()["predicted"]) == ("hashed", 7)


def test_several_answers_of_a_request_are_heard_with_its_hints(server: Server, model: Path) -> None:
    found = server.client.completions.create(
        model=str(model), prompt="Rain is", max_tokens=4, n=2, user="acme", seed=1, temperature=0.5
    )
    assert len(found.choices) == 2
    last = server.file.read_text().splitlines()[-2:]
    assert [json.loads(line)["tenant"] for line in last] == ["acme", "acme"]


def test_responses_are_heard(server: Server, model: Path) -> None:
    def ask(**more: Any) -> str:
        return server.client.responses.create(
            model=str(model), input="Name a colour.", max_output_tokens=6, temperature=0, **more
        ).output_text

    assert ask(user="acme", service_tier="priority", extra_headers=GATEWAY) == ask()
    heard = json.loads(server.file.read_text().splitlines()[-2])
    assert (heard["tenant"], heard["tier"], heard["session"]) == ("acme", "priority", "s1")
    assert heard["target"]["ttft"] == 0.25


def test_messages_are_heard(server: Server, model: Path) -> None:
    asked = {"model": str(model), "messages": ASKED, "max_tokens": 4}
    head = {"authorization": f"Bearer {KEY}", **GATEWAY}
    asked |= {"vllm_xargs": {"lengthwise_expected_tokens": 2}}
    url = f"{server.address}/v1/messages"
    httpx.post(url, json=asked, headers=head, timeout=60).raise_for_status()
    assert server.heard()["predicted"] == 2
    assert server.heard()["session"] == "s1"


def test_without_the_key_nothing_comes_as_far_as_the_engine(server: Server, model: Path) -> None:
    before = server.count
    asked = {"model": str(model), "messages": ASKED, "user": "acme"}
    for head in ({}, {"authorization": "Bearer wrong"}):
        url = f"{server.address}/v1/chat/completions"
        assert httpx.post(url, json=asked, headers=head, timeout=60).status_code == 401
    assert server.count == before


@pytest.mark.parametrize("body", [b'{"model": 5, "user": ', b"[]", b'{"user": 5, "messages": 1}'])
def test_what_is_malformed_is_answered_as_ever(server: Server, body: bytes) -> None:
    head = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    url = f"{server.address}/v1/chat/completions"
    found = httpx.post(url, content=body, headers=head, timeout=60)
    assert found.status_code in (400, 422)
    assert "error" in found.json()
