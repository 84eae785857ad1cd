"""A request's work, read from its body: what a router needs to know before it is placed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec

from lengthwise.ray.routes import GENERATING
from lengthwise.routing import Prefix, prefix_of
from lengthwise.routing.prefixes import NOTHING

_CAPS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_PARTS = ("tools", "system", "instructions", "messages", "input", "prompt")
"""Fields that a prompt is made of, in the order in which chat templates put them."""

_MOST_BYTES = 256 * 1024
"""Of a prompt that are looked at: an image in it may have millions."""

BYTES_A_TOKEN = 4.0
"""Of a prompt's text, before any answer has told it."""


@dataclass(frozen=True)
class Asked:
    """What one request asks for, as far as its body tells.

    Attributes:
        id: the route's own id of it.
        body: as JSON; empty if it is none, or not of a route that generates.
        ids: token ids of the prompt, if the client sends those.
        size: bytes of the prompt's text, if it does not.
        most: tokens at which the answer ends in any case.
        prefix: of the prompt.
    """

    id: str
    body: dict[str, Any]
    ids: list[int] | None = None
    size: int = 0
    most: float = math.inf
    prefix: Prefix = NOTHING

    def tokens(self, bytes_a_token: float) -> int:
        """Tokens of the prompt, counted or estimated."""
        return len(self.ids) if self.ids is not None else int(self.size / bytes_a_token) + 1


def read(id: str, path: str, body: bytes) -> Asked:
    """What a request asks for; nothing known of it where vLLM will have to say what is wrong.

    It never raises: whatever the client sent goes on to vLLM as it is.
    """
    if path not in GENERATING:
        return Asked(id, {})
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return Asked(id, {})
    return _asked(id, found) if isinstance(found, dict) else Asked(id, {})


def _asked(id: str, body: dict[str, Any]) -> Asked:
    salt = f"{body.get('cache_salt')} {body.get('model')}"
    ids = next((body[name] for name in ("prompt", "token_ids") if _is_ids(body.get(name))), None)
    if ids is not None:
        return Asked(id, body, ids, 0, _cap(body), prefix_of(ids, salt))
    parts = [body[name] for name in _PARTS if body.get(name)]
    text = msgspec.json.encode(parts)[:_MOST_BYTES]
    return Asked(id, body, None, len(text), _cap(body), prefix_of(text, salt))


def _is_ids(given: Any) -> bool:
    return isinstance(given, list) and bool(given) and all(type(each) is int for each in given)


def _cap(body: dict[str, Any]) -> float:
    found = [body[name] for name in _CAPS if type(body.get(name)) is int and body[name] >= 1]
    return float(found[0]) if found else math.inf


def with_hints(body: bytes, read: dict[str, Any], hints: dict[str, Any]) -> bytes:
    """The body with more in its ``vllm_xargs``; all else stays as the client wrote it.

    Args:
        read: the same body, read.
        hints: those of the same names that a client gave are replaced.
    """
    own = read.get("vllm_xargs")
    if not read or (own is not None and not isinstance(own, dict)):
        return body
    more = b'"vllm_xargs":' + msgspec.json.encode({**(own or {}), **hints})
    # The last of two fields of one name counts, and no number is written anew.
    return body.rstrip()[:-1] + b"," + more + b"}"
