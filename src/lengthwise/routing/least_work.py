"""Least added time by prompts alone: what ``predicted`` does where no answer is predicted."""

from __future__ import annotations

from typing import ClassVar

from lengthwise.routing.predicted import Predicted


class LeastWork(Predicted):
    """Counts the uncached part of each prompt, and every answer as long as answers usually are."""

    name: ClassVar[str] = "least-work"
    predicts: ClassVar[bool] = False
