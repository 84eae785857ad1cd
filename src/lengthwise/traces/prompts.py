"""Reading prompt texts: files of every usual kind, and the shipped ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from lengthwise.core.checks import at_least
from lengthwise.errors import UserError
from lengthwise.traces.content import File
from lengthwise.traces.conversations import NO_PAIR, exchange_of
from lengthwise.traces.records import place, records
from lengthwise.traces.trace import LeftOut
from lengthwise.workload.clients import client_of
from lengthwise.workload.prompts import BUILTIN, COMPOSED, Prompt

_RATED = "chosen by a rating (uniform is false)"


@dataclass(frozen=True)
class PromptFile:
    """What a file of prompts holds.

    Attributes:
        prompts: in the file's order.
        left_out: records that are no prompts, by reason.
        found: what the user should know of the file, a sentence each.
    """

    prompts: list[Prompt]
    left_out: tuple[LeftOut, ...] = ()
    found: tuple[str, ...] = ()


def read_prompts(source: str, limit: int | None = None) -> list[Prompt]:
    """The prompts of :func:`prompt_file`."""
    return prompt_file(source, limit).prompts


def prompt_file(source: str, limit: int | None = None) -> PromptFile:
    """Prompts of a file, or shipped ones.

    Shipped are ``builtin`` of many kinds, ``documents`` with questions, and short questions
    (:mod:`lengthwise.workload.document_prompts`), and ``applications`` of Magnus's
    (:mod:`lengthwise.workload.application_prompts`).

    A file is JSON lines, a JSON array, CSV or parquet, packed or not. A record holds
    ``prompt``, or ``instruction`` with an optional ``input``; or it is a conversation of
    ShareGPT, LMSYS or WildChat, whose first question with an answer counts; or a line of
    an OpenAI batch. It may have ``tenant``, ``priority`` (a whole number), and a cap of its
    answer: ``output_tokens`` or ``max_tokens``. Records with ``"uniform": false`` are left
    out (Alpaca samples chosen by rating).

    Args:
        limit: only the first so many; what lies behind them is not read.

    Raises:
        UserError: if the file or a record cannot be read; names the line.
    """
    at_least(1, requests=limit)
    if source in COMPOSED:
        texts = enumerate(COMPOSED[source]()[:limit], 1)
        return PromptFile([Prompt(f"{source}:{number}", text) for number, text in texts])
    if source == BUILTIN:
        packaged = resources.files("lengthwise") / "data" / "prompts.jsonl"
        file, name = File(Path(BUILTIN), f"prompts file {BUILTIN}", packaged.read_bytes()), BUILTIN
    else:
        path = Path(source)
        file, name = File.open(path, "prompts file"), path.name.split(".")[0]
    left: dict[str, int] = {}
    prompts = [*islice(_prompts(file, name, left), limit)]
    if not prompts:
        reasons = "".join(f": {reason}" for reason in left)
        raise UserError(f"{file.what}: no prompts in it{reasons}")
    capped = sum(prompt.max_tokens is not None for prompt in prompts)
    found = (f"{capped} of the prompts bring their own most tokens of an answer",)
    left_out = tuple(LeftOut(rows, reason) for reason, rows in left.items())
    return PromptFile(prompts, left_out, found if capped else ())


def _prompts(file: File, name: str, left: dict[str, int]) -> Iterator[Prompt]:
    """Each prompt; ``left`` counts the records that are left out, by reason."""
    for number, record in () if file.empty else records(file):
        try:
            prompt = _prompt(record, f"{name}:{number}")
        except ValueError as error:
            raise UserError(
                f'{file.what}, {place(file, number)}: expected a JSON object with "prompt", or a '
                f'conversation, and "priority" only as a whole number ({error})'
            ) from None
        if isinstance(prompt, Prompt):
            yield prompt
        else:
            left[prompt] = left.get(prompt, 0) + 1


def _prompt(record: dict[str, Any], id: str) -> Prompt | str:
    """A record's prompt, or why it is left out."""
    if str(record.get("uniform", True)).lower() in ("false", "0"):
        return _RATED
    exchange = exchange_of(record)
    if exchange is None:
        return NO_PAIR
    return Prompt(id, exchange.prompt, *client_of(record), max_tokens=exchange.cap)
