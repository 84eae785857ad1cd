"""How to learn while serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lengthwise.errors import UserError, refuse_unknown

KINDS = ("embeddings", "ngrams", "prompt-length")
"""Predictors that read nothing but token ids, and so cost the engine some ten microseconds."""


@dataclass(frozen=True)
class Learning:
    """Options of learning while serving, each with a default that suits most.

    Attributes:
        folder: where versions and samples are kept, so that a restart goes on with them. None
            is one for the served model in lengthwise's cache.
        kind: the predictor of prompts that is learned, one that reads token ids.
        first: finished requests after which the first version is made; the next ones at twice
            as many each, up to
        every: finished requests between two versions,
        seconds: or, if any request finished, seconds between two.
        uniform, recent: most requests to learn from: a uniform sample, and the latest.
        held_back: share of the prompts that is never learned from, only judged on.
        judges: fewest requests that a version has not learned from to judge it by.
        window: latest finished requests by which what acts is watched.
        positions: most positions of an answer whose hidden states are kept.
        at_once: most requests whose states are kept at a time.
        mib: most MiB of hidden states to learn from, in memory, and again on disk.
        epochs: passes over the data; None is the predictor's own number.
    """

    folder: str | None = None
    kind: str = "embeddings"
    first: int = 100
    every: int = 1000
    seconds: float = 1800.0
    uniform: int = 4000
    recent: int = 1000
    held_back: float = 0.1
    judges: int = 50
    window: int = 100
    positions: int = 24
    at_once: int = 32
    mib: int = 256
    epochs: int | None = None

    def __post_init__(self) -> None:
        """Raises UserError for a number that cannot be meant."""
        if self.kind not in KINDS:
            raise UserError(f"kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        if not 0.0 < self.held_back < 1.0:
            raise UserError(f"held_back is a share between 0 and 1, not {self.held_back}")
        for name in ("uniform", "recent", "positions", "at_once", "mib"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("first", "every", "judges", "window"):
            if getattr(self, name) < 10:
                raise UserError(f"{name} must be at least 10, not {getattr(self, name)}")
        if not self.seconds > 0:
            raise UserError(f"seconds must be above 0, not {self.seconds}")

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Learning:
        """Options as settings have them.

        Raises:
            UserError: for an unknown name or a value that cannot be meant.
        """
        refuse_unknown(given, cls, "learning option")
        try:
            return cls(**given)
        except TypeError as error:
            raise UserError(f"learning options must be numbers: {error}") from None
