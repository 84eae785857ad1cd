"""``lengthwise evaluate``: fits every predictor and judges all on the same held-out prompts."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from lengthwise.answers.arrays import Answers, Split, split
from lengthwise.core.bins import Floats
from lengthwise.core.checks import at_least
from lengthwise.core.lengths import Lengths
from lengthwise.core.text import visible
from lengthwise.errors import UserError
from lengthwise.evaluate import cost, latency, report
from lengthwise.evaluate.fitted import Fitted, digest, file_name, fitted
from lengthwise.evaluate.held_out import HeldOut
from lengthwise.evaluate.noise import noise_floors
from lengthwise.evaluate.report import Entry
from lengthwise.models.prompt_text import PromptText
from lengthwise.predictors import find_predictor
from lengthwise.predictors.base import Fitting
from lengthwise.training import train
from lengthwise.training.errors import held_out_tracks
from lengthwise.workload.prompts import held_out


@dataclass(frozen=True)
class EvaluationPlan:
    """What to judge.

    Attributes:
        folders: collected answers, to learn from and (other prompts) to judge on.
        predictors: specs, ``name`` or ``name:variant``.
        out: folder for everything that comes of it.
        shift: collected answers of other prompts, for the same fitted predictors.
        samples: folders of the same prompts, two or more seeds at each temperature.
        model: the served model, for predictors that read text; None is where the answers
            were collected from.
        arrival: ranks requests until a predictor of hidden states has seen them.
        resamples: of the prompts, for the intervals.
    """

    folders: list[Path]
    predictors: list[str]
    out: Path
    shift: list[Path] = field(default_factory=list)
    samples: list[Path] = field(default_factory=list)
    model: str | None = None
    arrival: str = "embeddings"
    how: Fitting = field(default_factory=Fitting)
    resamples: int = 1000
    trial: latency.Trial = field(default_factory=latency.Trial)

    def __post_init__(self) -> None:
        for spec in self.predictors:
            find_predictor(spec)
        train.check_arrival(self.arrival)
        if not self.predictors:
            raise UserError("--predictors names none: give some, or leave it out for all")
        at_least(20, resamples=self.resamples)
        train.check_sources([*self.folders, *self.shift, *self.samples], self.model, self.how)


@dataclass(frozen=True)
class Board:
    """What was found: ``content`` is leaderboard.json; the rest is for the figures.

    Attributes:
        first: [n] expected tokens at arrival, by predictor.
        tokens: [n] the true ones.
    """

    content: dict[str, Any]
    first: dict[str, Floats]
    tokens: Floats


@dataclass(frozen=True)
class Texts:
    """What decodes prompts, or why nothing does: then only readers of text fail."""

    decode: PromptText | None
    problem: UserError | None = None

    @classmethod
    def of(cls, plan: EvaluationPlan) -> Texts:
        """Loaded if a predictor reads text."""
        specs = [*plan.predictors, plan.arrival]
        reader = next((spec for spec in specs if find_predictor(spec)[0].reads == "text"), None)
        if reader is None:
            return cls(None)
        try:
            return cls(
                train.prompt_text(train.TrainingPlan(reader, plan.folders, model=plan.model))
            )
        except UserError as error:
            return cls(None, error)


def evaluate(plan: EvaluationPlan) -> Board:
    """Judges all predictors; one that cannot be fitted is left out and named.

    Writes leaderboard.json, the fitted predictors and their tracks to the plan's folder.

    Raises:
        UserError: if the data is bad, or no predictor could be judged.
    """
    model = train.served_model(plan.folders, plan.model)
    plan = replace(plan, how=replace(plan.how, model=model))
    texts = Texts.of(plan)
    parts = split(Answers.read(plan.folders, texts.decode))
    plan.out.mkdir(parents=True, exist_ok=True)
    b, seed = plan.resamples, plan.how.seed
    judged = HeldOut.of(parts.fit, parts.test, b, seed)
    shift = _shift(plan, parts.fit, texts) if plan.shift else None
    floors = noise_floors(parts.fit, plan.samples, b, seed)
    entries, failed = _entries(plan, parts, texts, judged, shift)
    if not entries:
        raise UserError(f"no predictor could be judged: {next(iter(failed.values()))}")
    content = {
        **_setting(plan, parts, judged),
        "constant_median": report.intervals(judged.constant),
        "predictors": report.described(entries, judged.constant),
        "failed": failed,
    }
    if shift is not None:
        content["shift"] = {
            "data": [folder.name for folder in plan.shift],
            **_answers(shift),
            "constant_median": report.intervals(shift.constant),
            "predictors": report.shifted(entries, shift.constant),
        }
    if floors:
        content["noise_floor"] = {
            f"{temperature:g}": {"prompts": prompts, **report.intervals(floor)}
            for temperature, (prompts, floor) in floors.items()
        }
    tracks = {name: track_file(plan.out, name) for name in entries}
    once = [name for name in entries if find_predictor(name)[0].reads != "states"]
    content["latency"] = latency.worth(tracks, once, judged.answers, plan.trial)
    (plan.out / "leaderboard.json").write_text(json.dumps(content, indent=1) + "\n")
    first = {name: entry.first for name, entry in entries.items()}
    return Board(content, first, judged.answers.tokens.astype(np.float32))


def track_file(out: Path, spec: str) -> Path:
    """Where the tracks of a predictor are."""
    return out / "tracks" / f"{file_name(spec)}.jsonl"


def _shift(plan: EvaluationPlan, fit: Answers, texts: Texts) -> HeldOut:
    """The other data's held-out prompts."""
    other = Answers.read(plan.shift, texts.decode)
    if (other.model, other.layers) != (fit.model, fit.layers):
        raise UserError("--shift was collected from another model or other layers: collect again")
    chosen = np.array([held_out(each.id) for each in other.asked])
    if chosen.sum() < 2:
        raise UserError("--shift has less than two held-out prompts: collect more of them")
    return HeldOut.of(fit, other.some(chosen), plan.resamples, plan.how.seed)


def _entries(
    plan: EvaluationPlan, parts: Split, texts: Texts, judged: HeldOut, shift: HeldOut | None
) -> tuple[dict[str, Entry], dict[str, str]]:
    """Each predictor's entry, or why it has none."""
    entries: dict[str, Entry] = {}
    failed: dict[str, str] = {}
    bar = tqdm(list(dict.fromkeys(plan.predictors)), desc="judge", unit="predictor")
    for spec in bar:
        bar.set_postfix_str(spec)
        try:
            found = _fitted(plan, spec, parts, texts)
            early = None
            if found.predictor.reads == "states":
                ranking = _fitted(plan, plan.arrival, parts, texts).predictor
                early = ranking.first(judged.answers)
            entries[spec] = _entry(found, judged, shift, early, track_file(plan.out, spec))
        except UserError as error:
            failed[spec] = str(error)
            tqdm.write(visible(f"lengthwise: {spec}: {error}"), file=sys.stderr)
    return entries, failed


def _entry(
    found: Fitted, judged: HeldOut, shift: HeldOut | None, early: Lengths | None, track: Path
) -> Entry:
    """What is found of a predictor; ``early`` ranked the requests until it spoke, if not it."""
    predictor = found.predictor
    said = judged.predictions_for(predictor)
    first = said.first.mean()
    _write_tracks(track, judged, said.first if early is None else early, said.remaining)
    milliseconds = {
        "request": cost.ms_per_request(predictor, judged.answers),
        "token": cost.ms_per_token(predictor, judged.answers),
    }
    shifted = None if shift is None else shift.judge(shift.predictions_for(predictor))
    tables = judged.judge(said)
    return Entry(predictor.reads, found.fit_s, found.layers, first, tables, shifted, milliseconds)


def _fitted(plan: EvaluationPlan, spec: str, parts: Split, texts: Texts) -> Fitted:
    if texts.problem is not None and find_predictor(spec)[0].reads == "text":
        raise texts.problem
    return fitted(spec, parts, plan.out / "predictors", plan.how)


def _write_tracks(path: Path, judged: HeldOut, first: Lengths, remaining: Lengths) -> None:
    at = judged.answers.positions
    rows = [row for row, _ in judged.answers.rows]
    tracks = held_out_tracks(rows, first, remaining, at.age, at.request)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(track) + "\n" for track in tracks))


def _setting(plan: EvaluationPlan, parts: Split, judged: HeldOut) -> dict[str, Any]:
    return {
        "data": [folder.name for folder in plan.folders],
        "model": parts.fit.model,
        "cap": parts.fit.cap,
        "seed": plan.how.seed,
        "resamples": plan.resamples,
        "threads": torch.get_num_threads(),
        "arrival": plan.arrival,
        "learned_from": {"fit": len(parts.fit), "tune": len(parts.tune)},
        **_answers(judged),
    }


def _answers(judged: HeldOut) -> dict[str, Any]:
    censored = float(judged.answers.censored.mean())
    return {
        "prompts": len(judged.answers),
        "digest": digest(judged.answers),
        "censored_share": round(censored, 4),
    }
