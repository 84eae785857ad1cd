"""Training the probe: layer, loss, censoring, refinement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tqdm import tqdm

from lengthwise.core.bins import Floats
from lengthwise.core.refine import Refiner
from lengthwise.errors import UserError
from lengthwise.predictors.along import features, probabilities, refine_positions
from lengthwise.predictors.descend import descend
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.scored import ranks
from lengthwise.predictors.trail_options import Options, Refinement, bins_of

if TYPE_CHECKING:
    from lengthwise.answers.arrays import Answers, Positions

_KEEP = 0.95
"""Share of the belief that a token keeps where it cannot be tuned; 0.8 to 0.98 differ by 5 %."""


def fit_probe(fit: Answers, tune: Answers, options: Options) -> tuple[Probe, dict[int, float]]:
    """The probe of the layer that errs least on ``tune``, and every layer's error there.

    Raises:
        UserError: if the layer asked for was not collected.
    """
    torch.manual_seed(options.seed)
    layers = fit.layers if options.layer is None else (options.layer,)
    if not set(layers) <= set(fit.layers):
        raise UserError(f"layer {options.layer} was not collected: choose from {fit.layers}")
    bins = bins_of(options, fit.cap)
    width = fit.positions.current.shape[-1]
    errors: dict[int, float] = {}
    best: Probe | None = None
    bar = tqdm(total=len(layers) * options.epochs, desc="train probe", unit="epoch")
    for layer in layers:
        probe = Probe(
            layer, width, bins, options.inputs, dropout=options.dropout, head=options.head
        )
        number = fit.layers.index(layer)
        errors[layer] = _fit(probe, fit.positions, tune.positions, number, options, bar)
        if best is None or errors[layer] < errors[best.layer]:
            best = probe
    bar.close()
    assert best is not None
    _refinement(best, fit, tune, options)
    return best, errors


def likelihood_loss(
    logits: torch.Tensor, bin_: torch.Tensor, censored: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy; for a censored row, minus the log mass of its bin and all above.

    Shapes: logits [n, k], bin_ [n] (int), censored [n] (bool); returns a scalar.
    """
    logs = logits.log_softmax(dim=1)
    exact = logs.gather(1, bin_[:, None])[:, 0]
    below = torch.arange(logits.shape[1]) < bin_[:, None]
    beyond = logs.masked_fill(below, -torch.inf).logsumexp(dim=1)
    return -torch.where(censored, beyond, exact).mean()


def _fit(
    probe: Probe, fit: Positions, tune: Positions, number: int, options: Options, bar: Any
) -> float:
    outlook = _fit_outlook(probe, fit, number) if probe.inputs == "full" else None
    seen = features(probe, fit, number)
    if outlook is not None:
        seen[:, -1] = outlook
    held = features(probe, tune, number)
    probe.shift.copy_(seen.mean(dim=0))
    probe.scale.copy_(seen.std(dim=0).clamp(min=1e-3))
    bin_ = torch.from_numpy(probe.bins.index(fit.left))
    censored = torch.from_numpy(fit.censored & options.censoring)
    left, limit = torch.from_numpy(fit.left), torch.from_numpy(fit.limit)[:, None]
    values = torch.from_numpy(probe.bins.values)
    scale = float(left.mean())
    rows = torch.arange(len(seen)).repeat_interleave(
        torch.from_numpy(np.where(fit.age == 0, options.prefill, 1))
    )

    def loss(at: torch.Tensor) -> torch.Tensor:
        inputs = seen[at]
        if options.noise:
            noise = options.noise * probe.scale[: probe.width] * torch.randn(len(at), probe.width)
            inputs = torch.cat([inputs[:, : probe.width] + noise, inputs[:, probe.width :]], dim=1)
        logits = probe(inputs)
        likelihood = likelihood_loss(logits, bin_[at], censored[at])
        if options.likelihood == np.inf:
            return likelihood
        # The mean is what schedules: being 100 tokens off costs more than the next bin.
        # With values cut at the limit, a censored row only asks for at least that many tokens.
        mean = (logits.softmax(dim=1) * torch.minimum(values, limit[at])).sum(dim=1)
        off: torch.Tensor = ((mean - left[at]).abs() / scale).mean()
        return off + options.likelihood * likelihood

    drawn = torch.from_numpy(_weights(fit, options))

    def batches() -> Iterable[torch.Tensor]:
        if options.draws is None:
            return torch.split(rows[torch.randperm(len(rows))], options.batch)
        return torch.split(drawn.multinomial(options.draws, replacement=True), options.batch)

    judged = _weights(tune, options)

    def validate() -> float:
        mean = probe.bins.mean(probe(held).softmax(dim=1).numpy(), tune.limit)
        return float(np.average(np.abs(mean - tune.left), weights=judged))

    return descend(
        probe,
        torch.optim.AdamW(probe.parameters(), lr=options.rate, weight_decay=0.1),
        options.epochs,
        batches,
        loss,
        validate,
        bar.update,
    )


def _weights(at: Positions, options: Options) -> Floats:
    """[rows] what each counts: alike if evenly spaced, or the root of what it stands for."""
    weights = at.grid if options.draws is None else np.sqrt(at.stands_for)
    return weights.astype(np.float32)


def _fit_outlook(probe: Probe, fit: Positions, number: int) -> torch.Tensor:
    """Ridge from the prompt's end to the rank of the answer's length.

    Returns each row's outlook [rows] as it looks on prompts the ridge has not seen: the
    MLP must not trust it more than it will deserve.
    """
    from sklearn.linear_model import Ridge, RidgeCV
    from sklearn.model_selection import KFold, cross_val_predict

    starts = np.flatnonzero(fit.age == 0)
    states = fit.first[starts, number].astype(np.float64)
    scale = np.maximum(states.std(axis=0), 1e-3)
    rank = ranks(fit.left[starts])
    states = (states - states.mean(axis=0)) / scale
    ridge = RidgeCV(np.logspace(1, 5, 9)).fit(states, rank)
    weights = ridge.coef_ / scale
    probe.outlook.copy_(torch.from_numpy(weights))
    folds = KFold(min(10, len(starts)), shuffle=True, random_state=0)
    unseen = cross_val_predict(Ridge(ridge.alpha_), states, rank, cv=folds)
    # The map has no intercept of its own: the MLP's normalisation takes it away.
    offset = float((fit.first[starts, number].astype(np.float64) @ weights).mean() - rank.mean())
    return torch.from_numpy(unseen + offset).float()[torch.from_numpy(fit.request)]


def _refinement(probe: Probe, fit: Answers, tune: Answers, options: Options) -> None:
    """Choose how refinement weighs old against new evidence, the paper's way included."""
    counts = np.bincount(probe.bins.index(fit.positions.left), minlength=len(probe.bins)) + 1.0
    frequencies = [round(float(share), 6) for share in counts / counts.sum()]
    keeps: list[dict[str, Any]] = [{"keep": keep} for keep in (0.8, 0.9, 0.95, 0.98)]
    tempers: list[dict[str, Any]] = [{"alpha": alpha} for alpha in (0.05, 0.1, 0.2, 0.5)]
    none: list[dict[str, Any]] = [{"keep": 0.0}]
    paper: list[dict[str, Any]] = [{"alpha": 1.0}]
    prior: list[dict[str, Any]] = [{"alpha": 1.0, "prior": frequencies}]
    both = [{"alpha": 0.1, "prior": frequencies}]
    kinds: dict[Refinement, list[dict[str, Any]]] = {
        "none": none,
        "paper": paper,
        "prior": prior,
        "temper": tempers,
        "tuned": [*none, *paper, *prior, *tempers, *both, *keeps],
        "kept": [{"keep": _KEEP}],
    }
    choices = kinds[options.refinement]
    at = tune.positions
    raw = probabilities(probe, at, fit.layers.index(probe.layer))

    def error(choice: dict[str, Any]) -> float:
        refined = refine_positions(Refiner(probe.bins, **choice), at, raw)
        off = np.abs(probe.bins.mean(refined, at.limit) - at.left)
        return float(np.average(off, weights=_weights(at, options)))

    probe.refinement = min(choices, key=error)
