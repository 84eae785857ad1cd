"""``lengthwise train``: fit a length predictor to collected answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lengthwise.answers.arrays import Answers, split
from lengthwise.answers.files import read_meta
from lengthwise.core.bins import Bins
from lengthwise.core.checks import at_least
from lengthwise.core.lengths import Lengths
from lengthwise.errors import UserError
from lengthwise.models.fingerprint import model_folder
from lengthwise.models.prompt_text import PromptText
from lengthwise.models.served import config_of
from lengthwise.predictors import find_predictor
from lengthwise.predictors.accuracy import Errors, absolute_errors, tau
from lengthwise.predictors.base import Fitting, PromptPredictor
from lengthwise.predictors.errors import ErrorModel
from lengthwise.predictors.store import Trained
from lengthwise.predictors.trail import Trail
from lengthwise.training.errors import held_out_tracks, probe_errors, prompt_confusion

Said = dict[str, tuple[Lengths, Lengths]]
"""Predictions of answers by the predictor's name: total tokens at arrival [n], remaining [rows]."""


@dataclass(frozen=True)
class TrainingPlan:
    """What to train.

    Attributes:
        name: of the predictor, perhaps with a variant: ``ltr:pairwise``.
        folders: collected answers.
        arrival: for ``trail``: the prompt predictor that ranks requests until their prefill.
        model: the served model, for predictors that read text; None is where the answers
            were collected from.
        how: epochs, seed and the like.
    """

    name: str
    folders: list[Path]
    arrival: str = "embeddings"
    model: str | None = None
    how: Fitting = field(default_factory=Fitting)

    def check(self) -> None:
        """Refuse what cannot be trained, before the answers are read.

        Raises:
            UserError: for a number out of range, data, model or backbone that are not there,
                or no such predictor.
        """
        at_least(1, epochs=self.how.epochs)
        check_sources(self.folders, self.model, self.how)
        kind, _ = find_predictor(self.name)
        if kind.reads == "truth":
            raise UserError(f"{self.name} knows the answers: there is nothing to train")
        if kind is Trail:
            check_arrival(self.arrival)


def check_sources(folders: Sequence[Path], model: str | None, how: Fitting) -> None:
    """Refuse a seed, data, a served model or a backbone that cannot be used.

    Raises:
        UserError: names it, with the reason.
    """
    at_least(0, seed=how.seed)
    for folder in folders:
        read_meta(folder)
    if model is not None:
        config_of(model_folder(model))
    if how.backbone is not None:
        config_of(model_folder(how.backbone))


def check_arrival(spec: str) -> None:
    """Refuse a predictor that does not predict when a request arrives.

    Raises:
        UserError: if it does not.
    """
    if not issubclass(find_predictor(spec)[0], PromptPredictor):
        raise UserError(f"--arrival {spec} does not read prompts: it cannot rank new requests")


def train(plan: TrainingPlan) -> Trained:
    """Train on 75 % of the prompts, choose by a fifth of those, report on the other 25 %.

    Raises:
        UserError: if there is no data, too little, or of different models, or no such
            predictor.
    """
    plan.check()
    told = replace(plan.how, model=served_model(plan.folders, plan.model))
    kind, how = find_predictor(plan.name, told)
    early, early_how = find_predictor(plan.arrival, told) if kind is Trail else (kind, how)
    if not issubclass(early, PromptPredictor):
        raise UserError(f"{plan.arrival} does not read prompts: it cannot rank new requests")
    parts = split(Answers.read(plan.folders, prompt_text(plan) if early.reads == "text" else None))
    start = time.perf_counter()
    bins = Bins.log(20, parts.fit.cap).with_overflow()
    trail = None
    if kind is Trail:
        trail = Trail.fit(parts.fit, parts.tune, bins, how)
        # Both speak of the same bins.
        bins = trail.bins
    prompt = early.fit(parts.fit, parts.tune, bins, early_how)
    said = {"prompt_only": prompt.both(parts.test)}
    if trail is not None:
        said["probe_refined"] = trail.both(parts.test)
    report = {
        "predictor": plan.name,
        "prompts": {
            "fit": len(parts.fit),
            "tune": len(parts.tune),
            "held_out": len(parts.test),
        },
        "data": [folder.name for folder in plan.folders],
        "trained_in_s": round(time.perf_counter() - start, 1),
        **measure(said, parts.fit, parts.test),
    }
    if trail is not None:
        layers = {layer: round(error, 2) for layer, error in trail.layer_errors.items()}
        report["layers_mae_tune"] = layers
    return Trained(parts.fit.model, trail, prompt, report, *_errors(said, parts.test))


def served_model(folders: Sequence[Path], model: str | None) -> str | None:
    """The model whose answers were collected, as far as the user or the folders name it."""
    for folder in folders:
        if model is None and (folder / "meta.json").is_file():
            model = read_meta(folder).get("path")
    return model


def prompt_text(plan: TrainingPlan) -> PromptText:
    """What gives the users' texts back from the collected token ids."""
    model = served_model(plan.folders, plan.model)
    if model is None:
        raise UserError(f"{plan.name} reads text: say by --model which model was served")
    return PromptText.load(model)


def measure(said: Said, fit: Answers, test: Answers) -> dict[str, Any]:
    """Mean absolute errors in tokens on held-out prompts, on a uniform grid of positions.

    ``served`` counts an answer cut at the cap as ending there, which is what a
    scheduler meets; ``uncensored`` leaves such answers out.
    """
    at = test.positions
    median = float(np.median(fit.positions.left[fit.positions.grid]))
    off: Errors = {"constant_median": np.abs(np.full_like(at.left, median) - at.left)}
    for name, (_, remaining) in said.items():
        by_readout = absolute_errors(remaining, at.left)
        off |= {f"{name}{readout}": each for readout, each in by_readout.items()}
    total = test.tokens.astype(np.float32)
    found: dict[str, Any] = {
        "censored_share": round(float(test.censored.mean()), 3),
    }
    best = "probe_refined" if "probe_refined" in said else "prompt_only"
    for kind, mask in (("served", at.grid), ("uncensored", at.grid & ~at.censored)):
        if not mask.any():
            continue
        errors = {name: float(each[mask].mean()) for name, each in off.items()}
        found[f"mae_{kind}"] = {name: round(error, 2) for name, error in errors.items()}
        for name, readout in (("", best), ("_by_median", f"{best}_median")):
            ratio = errors["constant_median"] / errors[readout]
            found[f"mae_{kind}"][f"ratio_to_constant{name}"] = round(ratio, 3)
    arrival = {"mae_constant_median": float(np.abs(total - np.median(total)).mean())}
    for name, (first, _) in said.items():
        arrival[f"mae_{name}"] = float(absolute_errors(first, total)[""].mean())
        arrival[f"tau_{name}"] = tau(first.mean(), total)
    found["at_arrival"] = {name: round(value, 3) for name, value in arrival.items()}
    return found


def _errors(
    said: Said, test: Answers
) -> tuple[ErrorModel | None, dict[str, Any], list[dict[str, Any]]]:
    """What the simulator needs to err as the predictors do on held-out prompts."""
    at = test.positions
    first = said["prompt_only"][0]
    refined = first.rows(np.zeros(0, np.int64))
    errors = None
    if "probe_refined" in said:
        refined = said["probe_refined"][1]
        errors = probe_errors(at.left, refined.mean(), at.age, at.request)
    tracks = held_out_tracks(
        [row for row, _ in test.rows],
        first,
        refined,
        at.age[: len(refined)],
        at.request[: len(refined)],
    )
    return errors, prompt_confusion(test.tokens, first.mean(), test.cap), tracks
