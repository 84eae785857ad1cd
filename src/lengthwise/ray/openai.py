"""OpenAI's completions and chat completions: bodies to requests, chunks to answers."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lengthwise.errors import UserError
from lengthwise.workload.clients import TENANT_HINT, client_of, is_whole, shown

PATHS = ("/v1/completions", "/v1/chat/completions")
_NUMBERS = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_WHOLE = ("top_k", "seed")
SAMPLING = (*_NUMBERS, *_WHOLE, "stop")
SALT = "cache_salt"
"""Requests share cached prefixes only with those of the same one, as in vLLM's own server."""
_REFUSED = ("tools", "functions", "logprobs", "top_logprobs", "best_of", "echo", "suffix")


@dataclass(frozen=True)
class Ask:
    """What a client wants.

    Attributes:
        request: what a replica is asked: ``id``, ``prompt_ids``, ``max_tokens``, sampling,
            and ``priority`` and ``tenant`` where the client gives them.
        chat, stream, usage: how it wants the answer; ``usage`` also at a stream's end.
        token_ids: whether a stream's pieces carry token ids, as vLLM's own server has it.
    """

    request: dict[str, Any]
    model: str
    chat: bool
    stream: bool
    usage: bool
    created: int
    token_ids: bool = False


def parse(path: str, body: Any, id: str, model: str, tokenizer: Any, most_tokens: int) -> Ask:
    """A request from the body that was sent to the path.

    Args:
        most_tokens: of prompt and answer together.

    Raises:
        UserError: if it is not one, or wants what is not served here.
    """
    if not isinstance(body, dict):
        raise UserError("the body must be a JSON object")
    refused = next((name for name in _REFUSED if body.get(name)), None)
    if refused is not None or body.get("n", 1) != 1:
        raise UserError(f"{refused or 'n above 1'} is not served by this route")
    chat = path == PATHS[1]
    ids = _chat_ids(body, tokenizer) if chat else _prompt_ids(body, tokenizer)
    room = most_tokens - len(ids)
    if not ids or room < 1:
        raise UserError(f"a prompt has 1 to {most_tokens - 1} tokens, not {len(ids)}")
    wanted = body.get("max_completion_tokens") or body.get("max_tokens") or (room if chat else 16)
    if not isinstance(wanted, int) or wanted < 1:
        raise UserError(f"max_tokens is a whole number from 1, not {shown(wanted)}")
    asked = {name: body[name] for name in (*SAMPLING, SALT) if body.get(name) is not None}
    _check_sampling(asked)
    salt = asked.get(SALT, "-")
    if not isinstance(salt, str) or not salt:
        raise UserError(f"{SALT} is a text, and not an empty one")
    asked |= _client(body)
    request = {"id": id, "prompt_ids": ids, "max_tokens": min(wanted, room), **asked}
    options = body.get("stream_options") or {}
    usage = isinstance(options, Mapping) and bool(options.get("include_usage"))
    stream, token_ids = bool(body.get("stream")), bool(body.get("return_token_ids"))
    return Ask(request, model, chat, stream, usage, int(time.time()), token_ids)


def _check_sampling(asked: Mapping[str, Any]) -> None:
    """A replica's engine would take what is of another type, and end over it."""
    for name, said in asked.items():
        number = is_whole(said) or (isinstance(said, float) and math.isfinite(said))
        if name in _NUMBERS and not number:
            raise UserError(f"{name} is a number, not {shown(said)}")
        if name in _WHOLE and not is_whole(said):
            raise UserError(f"{name} is a whole number, not {shown(said)}")
    stop = asked.get("stop", "")
    if not all(isinstance(each, str) for each in (stop if isinstance(stop, list) else [stop])):
        raise UserError("stop is a text or a list of texts")


def _client(body: Mapping[str, Any]) -> dict[str, Any]:
    """Whose request it is and of which class, as vLLM's own server takes both."""
    hints = body.get("vllm_xargs")
    tenant = hints.get(TENANT_HINT) if isinstance(hints, Mapping) else None
    try:
        name, priority = client_of({"tenant": tenant, "priority": body.get("priority")})
    except ValueError as error:
        raise UserError(str(error)) from None
    return {key: value for key, value in (("tenant", name), ("priority", priority)) if value}


def _prompt_ids(body: Mapping[str, Any], tokenizer: Any) -> list[int]:
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return list(tokenizer.encode(prompt))
    if isinstance(prompt, list) and all(is_whole(each) and each >= 0 for each in prompt):
        return prompt
    raise UserError("prompt is a text or a list of token ids")


def _chat_ids(body: Mapping[str, Any], tokenizer: Any) -> list[int]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise UserError("messages is a list of at least one message")
    for each in messages:
        if not isinstance(each, dict) or not isinstance(each.get("content"), str):
            raise UserError("a message has a role, and its content is a text")
    try:
        return list(
            tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
        )
    except Exception as error:
        raise UserError(f"the chat template refused the messages: {error}") from None


def whole(ask: Ask, text: str, tokens: int, finish: str) -> dict[str, Any]:
    """The answer in one piece."""
    message: dict[str, Any] = {"text": text}
    if ask.chat:
        message = {"message": {"role": "assistant", "content": text}}
    choice = {"index": 0, "finish_reason": finish, **message}
    return {**_head(ask, ""), "choices": [choice], "usage": _usage(ask, tokens)}


def piece(ask: Ask, chunk: Mapping[str, Any]) -> str:
    """A part of the answer as a server-sent event, which also names the replica."""
    part: dict[str, Any] = {"text": chunk["text"]}
    if ask.chat:
        part = {"delta": {"role": "assistant", "content": chunk["text"]}}
    choice = {"index": 0, "finish_reason": chunk["finish"], **part}
    if ask.token_ids:
        choice["token_ids"] = chunk["ids"]
    return _event({**_head(ask, ".chunk"), "replica": chunk["replica"], "choices": [choice]})


def last(ask: Ask, tokens: int) -> str:
    """What ends a stream."""
    usage = {**_head(ask, ".chunk"), "choices": [], "usage": _usage(ask, tokens)}
    return (_event(usage) if ask.usage else "") + "data: [DONE]\n\n"


def failure(message: str, kind: str) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    return {"error": {"message": message, "type": kind}}


def failed(message: str) -> str:
    """An error inside a stream that had begun."""
    return _event(failure(message, "server_error"))


def _event(content: Any) -> str:
    return f"data: {json.dumps(content)}\n\n"


def _head(ask: Ask, part: str) -> dict[str, Any]:
    kind = f"chat.completion{part}" if ask.chat else "text_completion"
    return {"id": ask.request["id"], "object": kind, "created": ask.created, "model": ask.model}


def _usage(ask: Ask, tokens: int) -> dict[str, int]:
    prompt = len(ask.request["prompt_ids"])
    return {
        "prompt_tokens": prompt,
        "completion_tokens": tokens,
        "total_tokens": prompt + tokens,
    }
