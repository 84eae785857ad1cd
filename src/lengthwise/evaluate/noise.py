"""The noise floor: how far two samples of the same prompt lie apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lengthwise.answers.arrays import Answers
from lengthwise.answers.files import finished_ids, read_meta
from lengthwise.core.bins import Bins
from lengthwise.errors import UserError
from lengthwise.evaluate.held_out import HeldOut, pick
from lengthwise.evaluate.metrics import Table
from lengthwise.predictors.oracles import AnotherSeed
from lengthwise.workload.prompts import held_out


def noise_floors(
    fit: Answers, folders: Sequence[Path], b: int, seed: int
) -> dict[float, tuple[int, dict[str, Table]]]:
    """:func:`noise_floor` at each temperature that the folders were sampled at.

    Raises:
        UserError: as there.
    """
    by_temperature: dict[float, list[Path]] = {}
    for folder in folders:
        by_temperature.setdefault(float(read_meta(folder)["temperature"]), []).append(folder)
    return {
        temperature: noise_floor(fit, by_temperature[temperature], b, seed)
        for temperature in sorted(by_temperature)
    }


def noise_floor(
    fit: Answers, folders: Sequence[Path], b: int, seed: int
) -> tuple[int, dict[str, Table]]:
    """How many held-out prompts all folders have, and how well one sample predicts another.

    A predictor that knows everything but the sampler's dice can do a little better: it
    may predict the median of all samples, where another sample is but one of them. The first
    folder is predicted by each of the others; figures are means over those.

    Raises:
        UserError: if the folders are not samples of the same prompts by the same model.
    """
    if len(folders) < 2:
        raise UserError("--samples needs two folders of each temperature: one for each seed")
    metas = [read_meta(folder) for folder in folders]
    for key in ("model", "cap", "temperature"):
        if any(meta[key] != metas[0][key] for meta in metas):
            raise UserError(f"the folders of --samples differ in {key}: only the seed may")
    shared = set.intersection(*(set(finished_ids(folder)) for folder in folders))
    sample = Answers.read(folders[:1])
    chosen = [i for i, each in enumerate(sample.asked) if each.id in shared and held_out(each.id)]
    if len(chosen) < 2:
        raise UserError("the folders of --samples share no held-out prompts: collect the same ones")
    judged = HeldOut.of(fit, pick(sample, chosen), b, seed)
    bins = Bins.log(20, sample.cap).with_overflow()
    others = [AnotherSeed.read(bins, [folder], sample.model) for folder in folders[1:]]
    tables = [judged.judge(judged.predictions_for(other)) for other in others]
    means = {
        stage: {name: np.mean([each[stage][name] for each in tables], axis=0) for name in table}
        for stage, table in tables[0].items()
    }
    return len(judged.answers), means
