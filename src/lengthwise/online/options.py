"""How to go on learning while serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lengthwise.errors import UserError, refuse_unknown


@dataclass(frozen=True)
class Learning:
    """Options of learning while serving, each with a default that suits most.

    Attributes:
        folder: where versions are kept, so that a restart goes on with the newest.
        every: finished requests after which a new version is made,
        seconds: or, if any request finished, seconds after which it is made (Magnus, arXiv
            2406.04785: 180).
        uniform, recent: most requests to learn from: a uniform sample, and the latest.
        held_back: share of the prompts that is never learned from, only judged on.
        least: fewest requests to learn from.
        judges: fewest held-back requests to judge a new version by.
        margin: share by which it must be better (:func:`lengthwise.online.grade.better`).
        mispredicted: learn only from mispredicted requests (Magnus: by more than 10 tokens
            and more than 10 %).
        epochs: passes over the data; None is the predictor's own number.
    """

    folder: str | None = None
    every: int = 1000
    seconds: float = 180.0
    uniform: int = 4000
    recent: int = 1000
    held_back: float = 0.2
    least: int = 200
    judges: int = 100
    margin: float = 0.02
    mispredicted: bool = False
    epochs: int | None = None

    def __post_init__(self) -> None:
        """Raises UserError for a number that cannot be meant."""
        if not 0.0 < self.held_back < 1.0:
            raise UserError(f"held_back is a share between 0 and 1, not {self.held_back}")
        if not 0.0 <= self.margin < 1.0:
            raise UserError(f"margin is a share from 0 to below 1, not {self.margin}")
        for name in ("every", "uniform", "recent"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not 2 <= self.judges <= self.recent:
            raise UserError(f"judges must be from 2 to recent ({self.recent}), not {self.judges}")
        if self.least < 10 or self.least > self.uniform + self.recent:
            raise UserError(
                f"least must be from 10 to uniform + recent ({self.uniform + self.recent}), "
                f"not {self.least}"
            )

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
