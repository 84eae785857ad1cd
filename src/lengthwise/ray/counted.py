"""The tokens of an answer, counted as its bytes pass."""

from __future__ import annotations

import re

_ENDS = re.compile(rb'"(completion|output|prompt|input)_tokens":\s*(\d+)')
_EVENT = b"data: {"
_TAIL = 4096
"""Bytes at an answer's end in which its usage is looked for."""


class Counted:
    """Counts one answer.

    Attributes:
        tokens: of the answer so far: the events of a stream, or what its usage says.
        prompt: tokens of the prompt, once the usage says so; else 0.
    """

    def __init__(self) -> None:
        self.tokens = self.prompt = 0
        self._tail = b""

    def take(self, chunk: bytes) -> None:
        """The next bytes of the answer."""
        self.tokens += chunk.count(_EVENT)
        self._tail = (self._tail + chunk)[-_TAIL:]

    def end(self) -> None:
        """All bytes have passed: what the usage says counts more."""
        for name, digits in _ENDS.findall(self._tail):
            if name in (b"completion", b"output"):
                self.tokens = int(digits)
            else:
                self.prompt = int(digits)
