"""vLLM's log messages about a request, as numbers; what texts they hold is dropped here."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass

from lengthwise.traces.recorded import MOST_TOKENS
from lengthwise.workload.clients import TENANT_HINT, name_of

_ID = r"(?P<id>.{1,512}?)"
_IDS = r"(?:array\('\w', )?(?P<ids>\[[\d, ]*\])\)?|None"
_SHAPE = r"(?:torch\.Size\(\[(?P<embeds>\d+)[\d, ]*\]\)|\(?(?P<row>\d+), \d+\)?|None)"
_STREAM = r"(?: \(streaming (?P<stream>delta|complete)\))?"

_DETAILS = re.compile(
    rf"Request {_ID} details: prompt: (?P<text>.*), prompt_token_ids: (?:{_IDS})"
    rf", prompt_embeds shape: {_SHAPE}\.?",
    re.DOTALL,
)
_RECEIVED = re.compile(rf"Received request {_ID}: (?P<rest>(?:params|prompt): .*)", re.DOTALL)
# Up to vLLM 0.11.0 the prompt stood in the same message, before and after the parameters.
_INLINE = re.compile(
    rf"prompt: (?P<text>.*), params: (?P<params>.*), prompt_token_ids: (?:{_IDS}), "
    rf"(?:prompt_embeds shape: {_SHAPE}, )?lora_request: .*",
    re.DOTALL,
)
_ANSWER_IDS = re.compile(
    rf"Generated response {_ID}{_STREAM} details: output_token_ids: (?:{_IDS})", re.DOTALL
)
_ANSWER = re.compile(
    rf"Generated response {_ID}{_STREAM}: output: (?P<text>.*?)"
    rf"(?:, output_token_ids: (?:{_IDS}))?, finish_reason: (?P<reason>\w+)",
    re.DOTALL,
)
_ENDED = re.compile(rf"Request {_ID} (?P<how>aborted|failed)\b.*", re.DOTALL)

_MAX_TOKENS = re.compile(r"ignore_eos=(?:True|False), max_tokens=(\d{1,10}), min_tokens=")
_CHOICES = re.compile(r"SamplingParams\(n=(\d{1,4}),")
_EXTRA = re.compile(r"extra_args=(\{[^\n]*\})\)")
_ESCAPED = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)")
_COUNTED = re.compile(r"'<streaming_complete: (\d{1,10}) tokens>'")


@dataclass(frozen=True)
class Counted:
    """A list of token ids: how many, and whether vLLM may have cut it (``--max-log-len``)."""

    tokens: int | None
    cut: bool = False


@dataclass(frozen=True)
class Prompted:
    """A request's prompt was logged."""

    id: str
    prompt: Counted


@dataclass(frozen=True)
class Received:
    """A request came; ``prompt`` is there in logs of vLLM up to 0.11.0."""

    id: str
    prompt: Counted | None
    generates: bool
    choices: int
    max_tokens: int | None
    tenant: str | None


@dataclass(frozen=True)
class AnswerIds:
    """Token ids of an answer, or of a piece of one (``stream``: delta)."""

    id: str
    stream: str | None
    output: Counted


@dataclass(frozen=True)
class Answer:
    """An answer ended, or a piece of it was sent (``stream``: delta).

    ``output`` is None if this message does not tell; ``cut`` is judged by its text.
    """

    id: str
    stream: str | None
    output: Counted | None
    reason: str
    characters: int | None


@dataclass(frozen=True)
class Ended:
    """A request ended without its answer: ``aborted`` or ``failed``."""

    id: str
    how: str


Message = Prompted | Received | AnswerIds | Answer | Ended


def read_message(text: str) -> Message | None:
    """The message's numbers; None if it is none of those that are read."""
    if text.startswith("Received request "):
        return _received(text)
    if text.startswith("Generated response "):
        return _answer(text)
    if found := _DETAILS.fullmatch(text):
        return Prompted(found["id"], _prompt(found))
    if found := _ENDED.fullmatch(text):
        return Ended(found["id"], found["how"])
    return None


def _received(text: str) -> Received | None:
    found = _RECEIVED.fullmatch(text)
    if found is None:
        return None
    rest = found["rest"]
    inline = _INLINE.fullmatch(rest)
    params = rest if inline is None else inline["params"]
    choices, most = _CHOICES.search(params), _MAX_TOKENS.search(params)
    return Received(
        found["id"],
        None if inline is None else _prompt(inline),
        "PoolingParams(" not in params[:30],
        1 if choices is None else int(choices[1]),
        None if most is None else int(most[1]),
        _tenant(params) if TENANT_HINT in params else None,
    )


def _answer(text: str) -> AnswerIds | Answer | None:
    if found := _ANSWER_IDS.fullmatch(text):
        return AnswerIds(found["id"], found["stream"], Counted(_length(found["ids"])))
    if not (found := _ANSWER.fullmatch(text)):
        return None
    counted = _COUNTED.fullmatch(found["text"])
    if counted is not None:
        output: Counted | None = Counted(int(counted[1]))
    else:
        output = None if found["ids"] is None else Counted(_length(found["ids"]))
    characters = _characters(found["text"])
    return Answer(found["id"], found["stream"], output, found["reason"], characters)


def _prompt(found: re.Match[str]) -> Counted:
    tokens = _length(found["ids"])
    if tokens is None:
        rows = found["embeds"] or found["row"]
        return Counted(None if rows is None else int(rows))
    return Counted(tokens, looks_cut(tokens, _characters(found["text"])))


def looks_cut(tokens: int, characters: int | None) -> bool:
    """Whether a text and its ids were cut at one length: there are as many of both.

    A whole text has more characters than tokens as good as always, but for a few of each.
    """
    return tokens >= 8 and tokens == characters


def _length(ids: str | None) -> int | None:
    """How many ids a printed list has."""
    if ids is None:
        return None
    tokens = ids.count(",") + 1 if ids.strip("[ ]") else 0
    return tokens if tokens <= MOST_TOKENS else None


def _characters(text: str) -> int | None:
    """The characters of a text that was printed as Python's; None if it is no such text."""
    if len(text) < 2 or text[0] not in "'\"" or text[-1] != text[0]:
        return None
    return len(_ESCAPED.sub("_", text)) - 2


def _tenant(params: str) -> str | None:
    found = _EXTRA.search(params)
    try:
        with warnings.catch_warnings(action="ignore"):
            extra = ast.literal_eval(found[1]) if found else None
        return name_of(extra.get(TENANT_HINT)) if isinstance(extra, dict) else None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None
