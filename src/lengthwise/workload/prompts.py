"""A prompt, the shipped ones, and the quarter that is held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from lengthwise.workload import application_prompts, document_prompts

BUILTIN = "builtin"
APPLICATIONS = "applications"
DOCUMENTS = "documents"

COMPOSED = {APPLICATIONS: application_prompts.texts, DOCUMENTS: document_prompts.texts}
"""Shipped prompts that are put together, by name."""


@dataclass(frozen=True)
class Prompt:
    """A prompt and where it stands in its file (``name:line``, its id everywhere).

    Attributes:
        tenant: the customer it belongs to, if the file has one.
        priority: its class; the lower goes first.
        max_tokens: most tokens of its answer, if the file says so.
    """

    id: str
    text: str
    tenant: str | None = None
    priority: int = 0
    max_tokens: int | None = None

    def cap(self, most: int) -> int:
        """Most tokens of its answer: its own, and no more than ``most``."""
        return most if self.max_tokens is None else min(self.max_tokens, most)


def held_out(prompt_id: str) -> bool:
    """Whether a prompt belongs to the 25 % never trained on; depends on its id only."""
    return hashlib.sha256(prompt_id.encode()).digest()[0] < 64
