"""All length predictors, by name. Loading them takes torch and scikit-learn: seconds."""

from __future__ import annotations

from dataclasses import replace

from lengthwise.errors import UserError
from lengthwise.predictors import check_name
from lengthwise.predictors.base import Fitting, LengthPredictor
from lengthwise.predictors.baselines import Constant, MaxTokens, PromptLength
from lengthwise.predictors.bert import Bert
from lengthwise.predictors.embeddings import Embeddings
from lengthwise.predictors.history import History
from lengthwise.predictors.ltr import LTR
from lengthwise.predictors.magnus import Magnus
from lengthwise.predictors.ngrams import Ngrams
from lengthwise.predictors.oracles import NoisyOracle, Oracle
from lengthwise.predictors.ssjf import SSJF
from lengthwise.predictors.trail import Trail

PREDICTORS: dict[str, type[LengthPredictor]] = {
    each.name: each
    for each in (
        LTR,
        SSJF,
        Bert,
        Constant,
        Embeddings,
        History,
        Magnus,
        MaxTokens,
        Ngrams,
        NoisyOracle,
        Oracle,
        PromptLength,
        Trail,
    )
}
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
