"""``lengthwise calibrate``: step times of a real engine, for the simulator."""

from __future__ import annotations

from pathlib import Path

import click

from lengthwise.cli import flags, values
from lengthwise.cli.calibration import card, tensor_parallel
from lengthwise.cli.groups import examples
from lengthwise.core.checks import file_for
from lengthwise.results.terminal import say


@click.command(
    short_help="Measure an engine's step times for simulate.",
    epilog=examples(
        "lengthwise calibrate MODEL --seats 16 --out profile.json",
        "lengthwise calibrate llama-3.1-8b --card h100-sxm --out profile.json",
    ),
)
@flags.model
@card
@tensor_parallel
@flags.seats(16)
@flags.requests("Random requests to serve.", 120)
@flags.seed
@click.option("--out", type=values.PATH, metavar="FILE", required=True, help="The profile (JSON).")
def calibrate(
    model: str,
    card: str | None,
    tensor_parallel: int,
    seats: int,
    requests: int,
    seed: int,
    out: Path,
) -> None:
    """Measure how long the engine's steps take with MODEL, and write a profile for simulate.

    With --card nothing is measured: MODEL (a config.json or its folder) is put on the datasheet
    of that card.
    """
    if card is None:
        _measure(model, seats, requests, seed, out)
    else:
        _calculate(model, card, tensor_parallel, out)


def _measure(model: str, seats: int, requests: int, seed: int, out: Path) -> None:
    from lengthwise.bench.calibrate import calibrate as measure
    from lengthwise.bench.calibrate import check
    from lengthwise.models.fingerprint import model_folder
    from lengthwise.vllm.engine import preload_libraries

    folder = model_folder(model)
    file_for(out)
    check(folder, seats, requests, seed)
    preload_libraries()
    profile = measure(folder, seats, requests, out.stem, seed)
    profile.save(out)
    say(
        f"a step takes {1000 * profile.base:.2f} ms, {1000 * profile.prefill:.4f} ms a prompt "
        f"token, {1000 * profile.decode:.3f} ms a decode, {1e6 * profile.context:.3f} µs a "
        f"context token; mean error {100 * profile.error:.1f} %; saved in {out}"
    )


def _calculate(model: str, card: str, tensor_parallel: int, out: Path) -> None:
    from lengthwise.calibration.cards import from_card
    from lengthwise.sim.steps import Roofline

    file_for(out)
    found = from_card(card, model, tensor_parallel=tensor_parallel)
    assert isinstance(found.steps, Roofline)
    found.steps.save(out)
    say(
        f"a step of one request takes {1000 * found.steps.seconds(0, 1, 1000):.2f} ms, of 64 "
        f"{1000 * found.steps.seconds(0, 64, 64_000):.2f}, a prompt of 1,000 tokens "
        f"{1000 * found.steps.seconds(1000, 0, 1000):.1f} (1,000 tokens of context each); "
        f"saved in {out}"
    )
    for note in found.notes:
        say(note)
