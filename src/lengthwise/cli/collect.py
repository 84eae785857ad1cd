"""``lengthwise collect``: answers with their hidden states, to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lengthwise.cli import flags, values
from lengthwise.cli.groups import examples

if TYPE_CHECKING:
    from lengthwise.models.served import TooLong


@click.command(
    short_help="Answer prompts, keep hidden states and lengths.",
    epilog=examples(
        "lengthwise collect MODEL --prompts PROMPTS.jsonl --out data",
        "lengthwise collect MODEL --requests 50 --layers 10,15,20 --out data",
    ),
)
@flags.model
@flags.prompts
@flags.out(None, "Folder for the data; that of an earlier, interrupted run is continued.")
@flags.max_tokens(512)
@flags.seats(48)
@click.option(
    "--layers",
    type=values.layers,
    default="",
    metavar="N,...",
    help="Decoder layers to keep, the first is 1 (default: five, spread over the depth); "
    "last is the last one's output, which every model has.",
)
@flags.number("--temperature", 0.0, "Of the sampled answers; 0 is greedy.")
@flags.number("--save-every", 5.0, "Seconds; a kill loses what is not saved.")
@flags.too_long
@flags.seed
def collect(
    model: str,
    prompts: flags.Prompts,
    out: Path,
    max_tokens: int,
    seats: int,
    layers: tuple[int, ...],
    temperature: float,
    save_every: float,
    too_long: TooLong,
    seed: int,
) -> None:
    """Answer prompts with MODEL on vLLM and keep what training a length predictor needs."""
    from lengthwise.models.fingerprint import model_folder
    from lengthwise.training.collect import Job, Options
    from lengthwise.vllm.engine import preload_libraries

    found = prompts.read()
    options = Options(
        max_tokens,
        seats,
        layers,
        temperature,
        seed=seed,
        save_s=save_every,
        too_long=too_long,
    )
    job = Job.of(model_folder(model), found, out, options)
    preload_libraries()
    job.run()
