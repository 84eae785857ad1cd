"""Prompt files: one JSON object a line, with ``prompt`` or Alpaca's fields."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path

from lengthwise.errors import UserError, reading
from lengthwise.workload import application_prompts, document_prompts
from lengthwise.workload.clients import client_of

BUILTIN = "builtin"
APPLICATIONS = "applications"
DOCUMENTS = "documents"

_COMPOSED = {APPLICATIONS: application_prompts.texts, DOCUMENTS: document_prompts.texts}


@dataclass(frozen=True)
class Prompt:
    """A prompt and where it stands in its file (``name:line``, its id everywhere).

    Attributes:
        tenant: the customer it belongs to, if the file has one.
        priority: its class; the lower goes first.
    """

    id: str
    text: str
    tenant: str | None = None
    priority: int = 0


def read_prompts(source: str, limit: int | None = None) -> list[Prompt]:
    """Prompts of a JSONL file (gzipped or not), or shipped ones.

    Shipped are ``builtin`` of many kinds, ``documents`` with questions, and short questions
    (:mod:`lengthwise.workload.document_prompts`), and ``applications`` of Magnus's
    (:mod:`lengthwise.workload.application_prompts`).

    A line holds ``prompt``, or ``instruction`` with an optional ``input``, and perhaps
    ``tenant`` and ``priority`` (a whole number). Lines with
    ``"uniform": false`` are skipped (Alpaca samples chosen by rating).

    Raises:
        UserError: if the file or a line cannot be read; names the line.
    """
    if limit is not None and limit < 1:
        raise UserError(f"--requests must be at least 1, not {limit}")
    if source == BUILTIN:
        packaged = resources.files("lengthwise") / "data" / "prompts.jsonl"
        with packaged.open("rb") as lines:
            return list(islice(_parse(lines, BUILTIN), limit))
    if source in _COMPOSED:
        texts = enumerate(_COMPOSED[source]()[:limit], 1)
        return [Prompt(f"{source}:{number}", text) for number, text in texts]
    path = Path(source)
    with (
        reading(f"prompts file {source}"),
        gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines,
    ):
        found = list(islice(_parse(lines, path.name.split(".")[0]), limit))
    if not found:
        raise UserError(f"prompts file {source}: no prompts in it")
    return found


def held_out(prompt_id: str) -> bool:
    """Whether a prompt belongs to the 25 % never trained on; depends on its id only."""
    return hashlib.sha256(prompt_id.encode()).digest()[0] < 64


def _parse(lines: Iterable[bytes], name: str) -> Iterator[Prompt]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            if record.get("uniform", True):
                yield Prompt(f"{name}:{number}", _text(record), *client_of(record))
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UserError(
                f'prompts file {name}, line {number}: expected a JSON object with "prompt", '
                'and "priority" only as a whole number'
            ) from None


def _text(record: dict[str, str]) -> str:
    text = record["prompt"] if "prompt" in record else record["instruction"]
    if record.get("input"):
        text = f"{text}\n\n{record['input']}"
    if not isinstance(text, str) or not text.strip():
        raise ValueError("empty prompt")
    return text
