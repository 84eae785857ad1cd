"""``lengthwise train``: a length predictor from collected answers."""

from __future__ import annotations

import json
from pathlib import Path

import click

from lengthwise.cli import flags, values
from lengthwise.cli.groups import examples
from lengthwise.core.checks import folder_for

data = click.argument("data", nargs=-1, required=True, type=values.PATH)
served_model = flags.text("--model", None, "MODEL", "The served model, for predictors of text.")
backbone = flags.text("--backbone", None, "MODEL", "Pretrained encoder or OPT: folder or hub name.")
arrival = flags.text(
    "--arrival",
    "embeddings",
    "NAME",
    "The predictor that ranks requests before hidden states are there.",
)


@click.command(
    short_help="Train a length predictor on collected answers.",
    epilog=examples(
        "lengthwise train trail data --out predictors",
        "lengthwise train ltr:pairwise data --epochs 3 --out predictors",
    ),
)
@click.argument("name")
@data
@flags.out(None, "Folder for the trained predictors.")
@arrival
@served_model
@backbone
@flags.whole("--epochs", None, "Passes over the data (default: the predictor's own).")
@flags.seed
def train(
    name: str,
    data: tuple[Path, ...],
    out: Path,
    arrival: str,
    model: str | None,
    backbone: str | None,
    epochs: int | None,
    seed: int,
) -> None:
    """Train the predictor NAME on the folders DATA, which lengthwise collect has filled.

    NAME is trail, ngrams, ltr, ...; with a variant: trail:paper.
    """
    from lengthwise.answers.files import read_meta
    from lengthwise.predictors import check_name

    for each in (name, arrival):
        check_name(each)
    folder_for(out)
    for folder in data:
        read_meta(folder)
    from lengthwise.predictors.base import Fitting
    from lengthwise.training.train import TrainingPlan
    from lengthwise.training.train import train as fit

    how = Fitting(epochs=epochs, backbone=backbone, seed=seed)
    trained = fit(TrainingPlan(name, list(data), arrival, model, how))
    trained.save(out)
    print(json.dumps(trained.report, indent=1))
