"""All length predictors, by name. The module of each is imported when it is first asked for."""

from __future__ import annotations

import pkgutil
from dataclasses import replace

from lengthwise.errors import UserError
from lengthwise.predictors import check_name
from lengthwise.predictors.base import Fitting, LengthPredictor

_HOMES = {
    "bert": "bert:Bert",
    "constant": "baselines:Constant",
    "embeddings": "embeddings:Embeddings",
    "history": "history:History",
    "ltr": "ltr:LTR",
    "magnus": "magnus:Magnus",
    "max-tokens": "baselines:MaxTokens",
    "ngrams": "ngrams:Ngrams",
    "noisy-oracle": "oracles:NoisyOracle",
    "oracle": "oracles:Oracle",
    "prompt-length": "baselines:PromptLength",
    "ssjf": "ssjf:SSJF",
    "trail": "trail:Trail",
}
"""The module below ``lengthwise.predictors`` and the class of each."""


class Registry(dict[str, type[LengthPredictor]]):
    """The predictors asked for so far; others are imported when they are."""

    def __missing__(self, name: str) -> type[LengthPredictor]:
        """Raises KeyError for no predictor's name."""
        found: type[LengthPredictor] = pkgutil.resolve_name(f"{__package__}.{_HOMES[name]}")
        self[name] = found
        return found


PREDICTORS = Registry()
"""By the name the command line has for them."""


def find_predictor(spec: str, how: Fitting | None = None) -> tuple[type[LengthPredictor], Fitting]:
    """A predictor's class, and how to fit it, from ``name`` or ``name:variant``.

    Raises:
        UserError: for an unknown name or variant.
    """
    check_name(spec)
    name, _, variant = spec.partition(":")
    found = PREDICTORS[name]
    if variant and variant not in found.variants:
        kinds = ", ".join(f"{name}:{each}" for each in found.variants if each) or "it has none"
        raise UserError(f"unknown variant {variant!r} of predictor {name!r}: {kinds}")
    return found, replace(how or Fitting(), variant=variant or found.variants[0])
