"""Prompt and answer in the records of files of texts, however they are laid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_USER = {"human", "user", "prompter"}
_MODEL = {"gpt", "assistant", "model", "bot", "chatgpt", "bard", "bing", "chatbot"}

_TEXTS = ("prompt", "instruction", "question", "query", "text_input")
_ANSWERS = ("output", "response", "answer", "completion", "generated_text")
_CAPS = ("max_tokens", "max_completion_tokens", "max_new_tokens", "output_tokens")

TEXTS = ("conversations", "conversation", "messages", "body.messages", *_TEXTS)
"""Names of columns by which a file of texts is known."""

NO_PAIR = "no question of a user with an answer"


@dataclass(frozen=True)
class Exchange:
    """A prompt and the answer to it.

    Attributes:
        answer: None if the record has none.
        cap: most tokens of the answer, if the record says so.
    """

    prompt: str
    answer: str | None = None
    cap: int | None = None


def exchange_of(record: Mapping[str, Any]) -> Exchange | None:
    """What a record asks; None if it is a conversation without a question that was answered.

    It has one of: ``conversations`` (ShareGPT), ``conversation`` (LMSYS, WildChat),
    ``messages``, ``body`` (OpenAI's batches), ``prompt``, or ``instruction`` with an
    ``input`` (Alpaca).

    Raises:
        ValueError: if it has none of them, or an empty one.
    """
    for name in ("conversations", "conversation"):
        if name in record:
            return _first_pair(_turns(record[name]))
    body = record.get("body")
    if isinstance(body, Mapping):
        return _request(body)
    if "body.messages" in record:
        prefix = "body."
        return _request(
            {k.removeprefix(prefix): v for k, v in record.items() if k.startswith(prefix)}
        )
    if record.get("messages") is not None:
        turns = _turns(record["messages"])
        answered = any(role in _MODEL for role, _ in turns[-1:])
        return _first_pair(turns) if answered else _request(record)
    return _plain(record)


def _plain(record: Mapping[str, Any]) -> Exchange:
    name = next((name for name in _TEXTS if name in record), None)
    if name is None:
        raise ValueError("no prompt")
    text = record[name]
    if isinstance(text, list):
        return _request({**record, "messages": text})
    if record.get("input") and name == "instruction":
        text = f"{text}\n\n{record['input']}"
    if not isinstance(text, str) or not text.strip():
        raise ValueError("empty prompt")
    answers = (record.get(name) for name in _ANSWERS)
    answer = next((each for each in answers if isinstance(each, str) and each), None)
    return Exchange(text, answer, _cap(record))


def _request(body: Mapping[str, Any]) -> Exchange:
    """What is asked in a request's messages: the user's last."""
    if "messages" not in body:
        return _plain(body)
    asked = [text for role, text in _turns(body["messages"]) if role in _USER and text.strip()]
    if not asked:
        raise ValueError("no message of a user")
    return Exchange(asked[-1], None, _cap(body))


def _cap(record: Mapping[str, Any]) -> int | None:
    for name in _CAPS:
        said = record.get(name)
        if said in (None, ""):
            continue
        try:
            cap = float(said)
        except (TypeError, ValueError):
            cap = 0.0
        if not cap.is_integer() or cap < 1:
            raise ValueError(f"{name} is not a number of tokens: {str(said)[:40]!r}")
        return int(cap)
    return None


def _turns(messages: Any) -> list[tuple[str, str]]:
    """Role and text of each turn."""
    if messages is None:
        return []
    if not isinstance(messages, Sequence) or isinstance(messages, str):
        raise ValueError("the turns are no list")
    found = []
    for each in messages:
        if not isinstance(each, Mapping):
            raise ValueError("a turn is no object")
        role = each.get("from") or each.get("role")
        text = each.get("value") if each.get("value") is not None else each.get("content")
        found.append((str(role).lower(), _text(text)))
    return found


def _text(content: Any) -> str:
    """The text of a turn: itself, or its parts that are text."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, Mapping))
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _first_pair(turns: Sequence[tuple[str, str]]) -> Exchange | None:
    for (asks, question), (answers, answer) in pairwise(turns):
        if asks in _USER and answers in _MODEL and question.strip() and answer.strip():
            return Exchange(question, answer)
    return None
