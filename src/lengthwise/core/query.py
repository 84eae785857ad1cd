"""What a predictor is asked about a new request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Query:
    """A request as it arrives: all that a predictor may read before its prefill.

    Attributes:
        id: names the request; the same prompt has the same id in every run.
        prompt_ids: token ids of the whole prompt, chat template included.
        text: what the user wrote, without the template.
        max_tokens: most output tokens it may produce.
        template: the application it comes from, if the client names one; else empty.
    """

    id: str
    prompt_ids: list[int]
    text: str
    max_tokens: int
    template: str = ""


def limits(asked: Sequence[Query]) -> NDArray[np.float64]:
    """Most output tokens of each request, [n]."""
    return np.array([each.max_tokens for each in asked], dtype=np.float64)
