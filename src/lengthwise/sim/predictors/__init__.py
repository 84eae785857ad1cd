"""Predictors for the simulator: what a policy reads instead of the true lengths.

Each predicts every request's output tokens ``at_arrival``; a refining one predicts
again while a request runs, as TRAIL's probe does.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from lengthwise.errors import UserError
from lengthwise.predictors.errors import TRAIL, ErrorModel, fit_error_model
from lengthwise.predictors.tracks import Track
from lengthwise.sim.predictors.base import Guess, Predictor, Refinements
from lengthwise.sim.predictors.errors import Errors, Refined
from lengthwise.sim.predictors.posteriors import POSTERIORS
from lengthwise.sim.predictors.recorded import Recorded
from lengthwise.sim.predictors.rules import RULES
from lengthwise.workload.laws import resample
from lengthwise.workload.workload import Workload

__all__ = [
    "TRAIL",
    "ErrorModel",
    "Errors",
    "Guess",
    "Predictor",
    "Recorded",
    "Refined",
    "Refinements",
    "Track",
    "check_predictor",
    "fit_error_model",
    "make_predictor",
]


def make_predictor(spec: str) -> Predictor:
    """Build a predictor from its name and argument.

    - ``none``: nothing is known. ``oracle``: the true length.
    - ``constant`` (the workload's median) or ``constant:TOKENS``.
    - ``reversed``: the median's square over the true length; the longest is said to be shortest.
    - ``lognormal:SIGMA``: the true length times a log-normal factor with median 1; with the
      distribution of the workload's lengths, given that prediction.
    - ``exponential``: exponential with the true length as its mean (TRAIL's M/G/1 model).
    - ``confusion:FILE.json``: ``{"edges": [k + 1], "matrix": [[k] * k]}``, a row for each
      true bin with weights of the predicted bins; a bin predicts its middle.
    - ``ssjf:FILE``: real BERT classes of requests about as long (within 10 %), each class
      standing for its mean true length. Lengths outside the file's count as its ends.
    - ``file:FILE``: a column ``predicted``, one record a request; empty is unknown.
    - ``forest``: a random forest on prompt length and application (what stands before the
      colon of an id), out of the bag: for workloads in which no request is there twice.
    - ``refined`` or ``refined:FILE.json``: a refining probe with a fitted ``ErrorModel``.
      Nothing is known at arrival unless another predictor stands before it with a ``+``:
      ``lognormal:0.8+refined``.
    - ``recorded:FILE.jsonl``: a real predictor's predictions for these very requests, at
      arrival and while they ran, found by the requests' ids (``lengthwise train`` writes one).

    Raises:
        UserError: for an unknown name, a bad argument or an unreadable file.
    """
    refined = re.fullmatch(r"(?:(.*)\+)?refined(?::(.*))?", spec)
    if refined:
        prompt, file = refined.groups()
        model = ErrorModel.load(Path(file)) if file else TRAIL
        return Refined(model) if prompt is None else Refined(model, make_predictor(prompt))
    name, colon, argument = spec.partition(":")
    if name == "recorded" and argument:
        return Recorded.load(Path(argument))
    if name not in RULES:
        known = ", ".join(sorted([*RULES, "recorded", "refined"]))
        raise UserError(f"unknown predictor {name!r}: choose from {known}")
    source, wants, make = RULES[name]
    if (wants == "always" and not argument) or (wants == "never" and colon):
        raise UserError(f"predictor {name!r} takes {'one' if wants == 'always' else 'no'} argument")
    posterior = POSTERIORS.get(name)
    return Guess(source, make(argument), posterior=posterior and posterior(argument))


def check_predictor(spec: str, workload: Workload, requests: int | None) -> None:
    """Refuse a predictor that cannot be built, or has a file of other requests.

    Args:
        requests: how many will be resampled from the workload; None serves it as it is.

    Raises:
        UserError: with the reason.
    """
    predictor = make_predictor(spec)
    if "recorded:" in spec or "file:" in spec:
        served = workload if requests is None else resample(workload, requests, 0)
        predictor.at_arrival(served, np.random.default_rng(0))
