"""Length predictors: from the prompt, from hidden states, from an oracle.

The registry is loaded on first use: it imports torch and scikit-learn, which a command that
is about to refuse its input need not wait for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lengthwise.predictors.registry import PREDICTORS, find_predictor

__all__ = ["PREDICTORS", "find_predictor"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(name)
    from lengthwise.predictors import registry

    return getattr(registry, name)
