"""Length predictors: from the prompt, from hidden states, from an oracle.

The registry is loaded on first use, and a predictor's module when it is first asked for: torch
and the like are nothing that a command that is about to refuse its input need wait for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lengthwise.errors import UserError

if TYPE_CHECKING:
    from lengthwise.predictors.registry import PREDICTORS, find_predictor

__all__ = ["NAMES", "PREDICTORS", "check_name", "find_predictor"]

NAMES = (
    *("bert", "constant", "embeddings", "history", "ltr", "magnus", "max-tokens", "ngrams"),
    *("noisy-oracle", "oracle", "prompt-length", "ssjf", "trail"),
)
"""What the registry holds, known before it is loaded."""


def check_name(spec: str) -> None:
    """Refuse ``name`` or ``name:variant`` of no predictor; of variants the registry knows.

    Raises:
        UserError: names them all.
    """
    name = spec.partition(":")[0]
    if name not in NAMES:
        raise UserError(f"unknown predictor {name!r}: choose from {', '.join(NAMES)}")


def __getattr__(name: str) -> Any:
    if name not in ("PREDICTORS", "find_predictor"):
        raise AttributeError(name)
    from lengthwise.predictors import registry

    return getattr(registry, name)
