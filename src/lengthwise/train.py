"""``lengthwise train``: fit the probe and the prompt predictor to collected data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import kendalltau
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from torch import nn
from tqdm import tqdm

from lengthwise.collect import read_meta, read_shards
from lengthwise.core.bins import Bins, Floats
from lengthwise.core.refine import Refiner
from lengthwise.errors import UserError
from lengthwise.predictors.probe import Inputs, Probe
from lengthwise.predictors.prompt import PromptPredictor
from lengthwise.predictors.store import Trained
from lengthwise.prompts import held_out
from lengthwise.sim.predictors import ErrorModel
from lengthwise.train_errors import held_out_tracks, probe_errors, prompt_confusion
from lengthwise.train_prompt import fit_prompt_predictor

NOISE = 0.6
"""Standard deviation of the noise on normalised states: neighbouring rows are alike."""

LIKELIHOOD = 0.2
"""Weight of the likelihood beside the error of the mean: keeps the bins calibrated."""

Row = tuple[dict[str, Any], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Options:
    """How to train. ``bins``: ``log`` or ``equal`` (TRAIL's); ``epochs``: TRAIL's 30."""

    epochs: int = 16
    bins: str = "log"
    k: int = 20
    inputs: Inputs = "full"
    batch: int = 256
    rate: float = 5e-4
    seed: int = 0


@dataclass(frozen=True)
class Positions:
    """Sampled positions of many requests, row by row.

    Attributes:
        request: [n] which request a row belongs to.
        age: [n] tokens generated.
        left: [n] tokens still to come (for a censored answer: at least so many).
        limit: [n] tokens until the cap.
        censored: [n] whether the answer hit the cap.
        current, mean, first: [n, L, d] states, prompt means and states at the prompt's end.
        prompt: [n] prompt tokens.
    """

    request: NDArray[np.int64]
    age: NDArray[np.int64]
    left: Floats
    limit: Floats
    censored: NDArray[np.bool_]
    current: NDArray[np.float16]
    mean: NDArray[np.float16]
    first: NDArray[np.float16]
    prompt: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Sequence[Row], cap: float) -> Positions:
        """Stack the requests' arrays."""
        counts = [len(arrays["ages"]) for _, arrays in rows]
        request = np.repeat(np.arange(len(rows)), counts)
        age = np.concatenate([arrays["ages"] for _, arrays in rows]).astype(np.int64)
        total = np.array([row["output_tokens"] for row, _ in rows])
        return cls(
            request,
            age,
            (total[request] - age).astype(np.float32),
            (cap - age).astype(np.float32),
            np.array([row["censored"] for row, _ in rows])[request],
            np.concatenate([arrays["states"] for _, arrays in rows]),
            np.stack([arrays["mean"] for _, arrays in rows])[request],
            # The first sampled position is the end of the prompt.
            np.stack([arrays["states"][0] for _, arrays in rows])[request],
            np.array([len(row["prompt_ids"]) for row, _ in rows])[request],
        )

    def features(self, probe: Probe, layer: int) -> torch.Tensor:
        """The probe's inputs at collected layer number ``layer``."""
        return probe.features(
            torch.from_numpy(self.current[:, layer]).float(),
            torch.from_numpy(self.mean[:, layer]).float(),
            torch.from_numpy(self.first[:, layer]).float(),
            torch.from_numpy(self.age),
            torch.from_numpy(self.prompt),
        )


def train(folders: list[Path], options: Options) -> Trained:
    """Train on 75 % of the prompts, choose by a fifth of those, report on the other 25 %.

    Raises:
        UserError: if there is no data, too little, or of different models.
    """
    if options.epochs < 1 or options.k < 2:
        raise UserError("training needs at least 1 epoch and 2 bins")
    torch.manual_seed(options.seed)
    meta, rows = _read(folders)
    fit = [row for row in rows if not held_out(row[0]["id"])]
    test = [row for row in rows if held_out(row[0]["id"])]
    # By prompt, not by row: two folders may hold the same prompts.
    tuning = set(list(dict.fromkeys(row[0]["id"] for row in fit))[::5])
    tune = [row for row in fit if row[0]["id"] in tuning]
    fit = [row for row in fit if row[0]["id"] not in tuning]
    if min(len(fit), len(tune), len(test)) < 2:
        raise UserError(f"{len(rows)} collected prompts are too few to train on: collect more")
    cap = float(meta["cap"])
    parts = {"fit": fit, "tune": tune, "test": test}
    data = {name: Positions.of(part, cap) for name, part in parts.items()}
    bins = _bins(options, cap)

    sweep: dict[int, float] = {}
    best: tuple[float, Probe, int] | None = None
    bar = tqdm(total=len(meta["layers"]) * options.epochs, desc="train probe", unit="epoch")
    for number, layer in enumerate(meta["layers"]):
        width = data["fit"].current.shape[-1]
        probe = Probe(layer, width, bins, options.inputs, dropout=0.5)
        error = _fit_probe(probe, data, number, options, bar)
        sweep[layer] = round(error, 2)
        if best is None or error < best[0]:
            best = (error, probe, number)
    bar.close()
    assert best is not None
    _, probe, number = best
    _tune_refinement(probe, data["fit"], data["tune"], number)
    prompt = fit_prompt_predictor(
        [row["prompt_ids"] for row, _ in fit],
        np.array([row["output_tokens"] for row, _ in fit]),
        bins,
    )
    report = {
        "prompts": {"fit": len(fit), "tune": len(tune), "held_out": len(test)},
        "censored_share": round(float(np.mean([row["censored"] for row, _ in rows])), 3),
        "layers_mae_tune": sweep,
        "data": [folder.name for folder in folders],
        "options": {name: getattr(options, name) for name in options.__dataclass_fields__},
        **measure(probe, prompt, data["fit"], data["test"], test, number),
    }
    return Trained(
        meta["model"],
        probe.eval(),
        prompt,
        report,
        *_errors(probe, prompt, data["test"], test, number, cap),
    )


def _errors(
    probe: Probe,
    prompt: PromptPredictor,
    data: Positions,
    rows: Sequence[Row],
    number: int,
    cap: float,
) -> tuple[ErrorModel, dict[str, Any], list[dict[str, Any]]]:
    """How both predictors err on held-out prompts, as the simulator reads it."""
    refined = probe.bins.mean(predict(probe, data, number)[1], data.limit)
    total = np.array([row["output_tokens"] for row, _ in rows])
    asked = prompt.probabilities([row["prompt_ids"] for row, _ in rows])
    said = prompt.bins.mean(asked, np.full(len(rows), cap))
    return (
        probe_errors(data.left, refined, data.age, data.request),
        prompt_confusion(total, said, cap),
        held_out_tracks([row for row, _ in rows], said, refined, data.age, data.request),
    )


def measure(
    probe: Probe,
    prompt: PromptPredictor,
    fit: Positions,
    test: Positions,
    rows: Sequence[Row],
    number: int,
) -> dict[str, Any]:
    """Mean absolute errors in tokens on held-out prompts, on a uniform grid of positions.

    ``served`` counts an answer cut at the cap as ending there, which is what a
    scheduler meets; ``uncensored`` leaves such answers out.
    """
    grid = test.age % 8 == 0
    raw, refined = predict(probe, test, number)
    median = float(np.median(fit.left[fit.age % 8 == 0]))
    asked = prompt.probabilities([row["prompt_ids"] for row, _ in rows])
    first = np.flatnonzero(test.age == 0)
    totals = prompt.bins.mean(asked, test.limit[first])
    countdown = np.maximum(totals[test.request] - test.age, 1.0)
    guesses = {
        "constant_median": np.full_like(test.left, median),
        "prompt_only": countdown,
        "probe": probe.bins.mean(raw, test.limit),
        "probe_refined": probe.bins.mean(refined, test.limit),
        "probe_refined_median": np.minimum(probe.bins.quantile(refined), test.limit),
    }
    total = np.array([row["output_tokens"] for row, _ in rows], dtype=np.float32)
    found: dict[str, Any] = {}
    for kind, mask in (("served", grid), ("uncensored", grid & ~test.censored)):
        if not mask.any():
            continue
        errors = {
            name: float(np.abs(guess - test.left)[mask].mean()) for name, guess in guesses.items()
        }
        found[f"mae_{kind}"] = {name: round(error, 2) for name, error in errors.items()}
        for name, readout in (("", "probe_refined"), ("_by_median", "probe_refined_median")):
            ratio = errors["constant_median"] / errors[readout]
            found[f"mae_{kind}"][f"ratio_to_constant{name}"] = round(ratio, 3)
    found["at_arrival"] = {
        "mae_constant_median": round(float(np.abs(total - np.median(total)).mean()), 2),
        "mae_prompt_only": round(float(np.abs(totals - total).mean()), 2),
        "mae_probe": round(float(np.abs(guesses["probe"][first] - total).mean()), 2),
        "tau_prompt_only": round(float(kendalltau(totals, total).statistic), 3),
        "tau_probe": round(float(kendalltau(guesses["probe"][first], total).statistic), 3),
    }
    return found


def predict(probe: Probe, data: Positions, number: int) -> tuple[Floats, Floats]:
    """Probabilities [n, k] of each position alone, and refined along each request."""
    probe.eval()
    with torch.inference_mode():
        raw = probe(data.features(probe, number)).softmax(dim=1).numpy()
    return raw, refine_positions(probe.refiner(), data, raw)


def refine_positions(refiner: Refiner, data: Positions, raw: Floats) -> Floats:
    """Refinement over the sampled positions, which are several tokens apart: [n, k].

    All requests advance together, position by position.
    """
    refined = raw.copy()
    starts = np.flatnonzero(np.r_[True, np.diff(data.request) != 0])
    lengths = np.diff(np.r_[starts, len(data.request)])
    for step in range(1, int(lengths.max())):
        at = starts[lengths > step] + step
        for gap in np.unique(data.age[at] - data.age[at - 1]):
            rows = at[data.age[at] - data.age[at - 1] == gap]
            prior = refiner.shift(refined[rows - 1], int(gap))
            refined[rows] = refiner.update(prior, raw[rows], int(gap))
    return refined


def _read(folders: list[Path]) -> tuple[dict[str, Any], list[Row]]:
    metas, rows = [], []
    for folder in folders:
        if not (folder / "meta.json").is_file():
            raise UserError(f"no collected data in {folder}: run lengthwise collect first")
        metas.append(read_meta(folder))
        rows += read_shards(folder)
    for key in ("model", "layers", "cap"):
        if any(meta[key] != metas[0][key] for meta in metas):
            raise UserError(f"the collected folders differ in {key}: train on one kind only")
    if not rows:
        raise UserError(f"no finished prompts in {folders[0]} yet: let lengthwise collect run on")
    return metas[0], rows


def _bins(options: Options, cap: float) -> Bins:
    """TRAIL's bins as they are; ours know that answers cut at the cap would go on."""
    if options.bins == "equal":
        return Bins.equal(options.k, cap)
    return Bins.log(options.k, cap).with_overflow()


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


def _descend(
    module: nn.Module,
    batches: Callable[[], Any],
    loss: Callable[[Any], torch.Tensor],
    validate: Callable[[], float],
    options: Options,
    after: Callable[[], object] = lambda: None,
) -> float:
    """AdamW with a cosine rate to 0; keeps the weights of the best epoch on ``validate``."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=options.rate, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    best, kept = float("inf"), module.state_dict()
    for _ in range(options.epochs):
        module.train()
        for batch in batches():
            optimizer.zero_grad()
            loss(batch).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        schedule.step()
        module.eval()
        with torch.inference_mode():
            error = validate()
        if error < best:
            best = error
            kept = {name: value.clone() for name, value in module.state_dict().items()}
        after()
    module.load_state_dict(kept)
    return best


def _fit_probe(
    probe: Probe, data: dict[str, Positions], number: int, options: Options, bar: Any
) -> float:
    fit, tune = data["fit"], data["tune"]
    if probe.inputs == "full":
        outlook = _fit_outlook(probe, fit, number)
        features = fit.features(probe, number)
        features[:, -1] = outlook
    else:
        features = fit.features(probe, number)
    held = tune.features(probe, number)
    probe.shift.copy_(features.mean(dim=0))
    probe.scale.copy_(features.std(dim=0).clamp(min=1e-3))
    bin_ = torch.from_numpy(probe.bins.index(fit.left))
    censored = torch.from_numpy(fit.censored)
    left, limit = torch.from_numpy(fit.left), torch.from_numpy(fit.limit)[:, None]
    values = torch.from_numpy(probe.bins.values)
    scale = float(left.mean())

    def loss(rows: torch.Tensor) -> torch.Tensor:
        seen = features[rows]
        noise = NOISE * probe.scale[: probe.width] * torch.randn(len(rows), probe.width)
        logits = probe(torch.cat([seen[:, : probe.width] + noise, seen[:, probe.width :]], dim=1))
        # The mean is what schedules: being 100 tokens off costs more than the next bin.
        # With values cut at the limit, a censored row only asks for "at least so many".
        mean = (logits.softmax(dim=1) * torch.minimum(values, limit[rows])).sum(dim=1)
        off: torch.Tensor = ((mean - left[rows]).abs() / scale).mean()
        return off + LIKELIHOOD * likelihood_loss(logits, bin_[rows], censored[rows])

    def validate() -> float:
        mean = probe.bins.mean(probe(held).softmax(dim=1).numpy(), tune.limit)
        return float(np.abs(mean - tune.left)[tune.age % 8 == 0].mean())

    return _descend(
        probe,
        lambda: torch.split(torch.randperm(len(features)), options.batch),
        loss,
        validate,
        options,
        bar.update,
    )


def _fit_outlook(probe: Probe, fit: Positions, number: int) -> torch.Tensor:
    """Ridge from the prompt's end to the rank of the answer's length.

    Returns each row's outlook [n] as it looks on prompts the ridge has not seen: the
    MLP must not trust it more than it will deserve.
    """
    starts = np.flatnonzero(fit.age == 0)
    states = fit.first[starts, number].astype(np.float64)
    scale = np.maximum(states.std(axis=0), 1e-3)
    total = fit.left[starts]
    rank = np.searchsorted(np.sort(total), total, side="right") / len(total)
    states = (states - states.mean(axis=0)) / scale
    ridge = RidgeCV(np.logspace(1, 5, 9)).fit(states, rank)
    weights = ridge.coef_ / scale
    probe.outlook.copy_(torch.from_numpy(weights))
    folds = KFold(min(10, len(starts)), shuffle=True, random_state=0)
    unseen = cross_val_predict(Ridge(ridge.alpha_), states, rank, cv=folds)
    # The map has no intercept of its own: the MLP's normalisation takes it away.
    offset = float((fit.first[starts, number].astype(np.float64) @ weights).mean() - rank.mean())
    return torch.from_numpy(unseen + offset).float()[torch.from_numpy(fit.request)]


def _tune_refinement(probe: Probe, fit: Positions, tune: Positions, number: int) -> None:
    """Choose how refinement weighs old against new evidence, the paper's way included."""
    counts = np.bincount(probe.bins.index(fit.left), minlength=len(probe.bins)) + 1.0
    frequencies = [round(float(share), 6) for share in counts / counts.sum()]
    with torch.inference_mode():
        raw = probe(tune.features(probe, number)).softmax(dim=1).numpy()
    grid = tune.age % 8 == 0
    choices: list[dict[str, Any]] = [
        *({"alpha": a, "prior": p} for a in (0.1, 1.0) for p in (None, frequencies)),
        *({"keep": keep} for keep in (0.0, 0.8, 0.9, 0.95, 0.98)),
    ]
    tried: list[tuple[float, dict[str, Any]]] = []
    for choice in choices:
        refined = refine_positions(Refiner(probe.bins, **choice), tune, raw)
        error = np.abs(probe.bins.mean(refined, tune.limit) - tune.left)[grid].mean()
        tried.append((float(error), choice))
    probe.refinement = min(tried, key=lambda one: one[0])[1]
