"""Versions from finished requests: a predictor of prompts, and TRAIL's probe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import CensoredData, ecdf

from lengthwise.answers.arrays import Answers
from lengthwise.core.bins import Bins, Floats
from lengthwise.errors import UserError
from lengthwise.online.messages import Finished
from lengthwise.online.outcomes import answers_along, answers_of
from lengthwise.online.reservoir import in_share
from lengthwise.online.scorer import Scorer
from lengthwise.predictors import find_predictor, trail_fit
from lengthwise.predictors.base import Fitting, PromptPredictor
from lengthwise.predictors.baselines import Constant
from lengthwise.predictors.trail import Trail
from lengthwise.predictors.trail_options import SAMPLED

FEWEST = 10
"""Fewest answers that ended by themselves to learn from."""

BINS, IN_EACH = 20, 5
"""Most bins of total tokens, besides the one for all that is longer, and fewest answers to one."""

_FALLBACK = "ngrams"
"""What is learned if the model's token embeddings cannot be read."""

_TUNE = 0.2
"""Share of the prompts that a predictor chooses by."""

_LEVEL, _LEAST_CAP = 0.995, 16
"""The cap is the length that this share of the answers does not exceed, or at least so many."""


def fit_prompt(
    outcomes: Sequence[Finished],
    kind: str,
    model: str,
    seed: int = 0,
    epochs: int | None = None,
) -> PromptPredictor:
    """A predictor of total tokens from token ids.

    Answers that were cut are only known to be at least that long: each counts as the mean of all
    that are longer (Kaplan and Meier 1958). To expect of each what the fitted predictor expects
    of such prompts, and to fit again (Buckley and James 1979), gained nothing when measured.

    Args:
        outcomes: finished requests.
        kind: name of a predictor that reads token ids. ``ngrams`` takes the place of
            ``embeddings`` for a model whose token embeddings cannot be read: the result's name
            says so.
        model: the served model, a folder or hub name.
        epochs: passes over the answers; None is the predictor's own number.

    Raises:
        UserError: if too few answers ended by themselves, or ``kind`` reads more than token ids.
    """
    known = _known(outcomes)
    chosen, how = find_predictor(kind, Fitting(model=model, seed=seed, epochs=epochs))
    if not issubclass(chosen, PromptPredictor) or chosen.reads not in ("nothing", "ids"):
        raise UserError(f"{kind} cannot be learned while serving: choose one that reads token ids")
    cap = cap_of(known)
    bins = Bins.log(min(BINS, len(known) // IN_EACH), cap).with_overflow()
    answers = answers_of(known, Scorer(Constant(bins, _survival(known, bins))), model)
    fit, tune = _parts(answers) if chosen.tunes else (answers, answers)
    try:
        return chosen.fit(fit, tune, bins, how)
    except UserError:
        if kind == _FALLBACK:
            raise
        return fit_prompt(outcomes, _FALLBACK, model, seed, epochs)


def fit_probe(outcomes: Sequence[Finished], seed: int = 0, epochs: int | None = None) -> Trail:
    """TRAIL's probe from the states that were kept along answers: the layer that errs least.

    Of the layers those that the latest answer has are tried, one after the other: the memory
    is that of the states, and again three times that of one layer's.

    Raises:
        UserError: if too few answers with states ended by themselves.
    """
    known = _known([each for each in outcomes if each.states is not None])
    latest = known[-1].states
    assert latest is not None
    cap, options = cap_of(known), replace(SAMPLED, seed=seed, epochs=epochs or SAMPLED.epochs)
    errors: dict[int, float] = {}
    best = None
    for layer in latest.layers:
        fit, tune = _parts(answers_along(known, layer, cap))
        probe, found = trail_fit.fit_probe(fit, tune, options)
        errors |= found
        if best is None or errors[layer] < errors[best.layer]:
            best = probe
    assert best is not None
    return Trail(best, errors)


def cap_of(outcomes: Sequence[Finished]) -> int:
    """From how many tokens on answers are not told apart."""
    longest = np.quantile([each.tokens for each in outcomes], _LEVEL, method="higher")
    return max(int(longest), _LEAST_CAP)


def _known(outcomes: Sequence[Finished]) -> list[Finished]:
    """Those that have an answer, if enough of them ended by themselves."""
    known = [each for each in outcomes if each.tokens > 0]
    ended = sum(not each.cut for each in known)
    if ended < FEWEST:
        raise UserError(
            f"of {len(known)} answers {ended} ended by themselves: "
            f"lengths are learned from at least {FEWEST}"
        )
    return known


def _parts(answers: Answers) -> tuple[Answers, Answers]:
    """To learn from and to choose by: no prompt in both, unless nearly all are the same."""
    tune = np.array([in_share(each.id, _TUNE, "tune") for each in answers.asked])
    if not 1 < tune.sum() < len(tune) - 1:
        tune = np.arange(len(tune)) % 2 == 1
    return answers.some(~tune), answers.some(tune)


def _survival(outcomes: Sequence[Finished], bins: Bins) -> Floats:
    """[k] shares of the bins by the product-limit estimate; what is never seen to end is longer."""
    tokens = np.array([each.tokens for each in outcomes], dtype=float)
    cut = np.array([each.cut for each in outcomes])
    known = ecdf(CensoredData(tokens[~cut], right=tokens[cut])).cdf
    below = known.evaluate(np.nextafter(bins.edges[1:-1].astype(float), 0.0))
    shares: Floats = np.diff(np.concatenate([[0.0], below, [1.0]])).astype(np.float32)
    return shares
