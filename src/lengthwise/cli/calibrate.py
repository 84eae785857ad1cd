"""``lengthwise calibrate``: step times of a real engine, for the simulator."""

from __future__ import annotations

from pathlib import Path

import click

from lengthwise.cli import flags, values
from lengthwise.cli.groups import examples
from lengthwise.core.checks import file_for
from lengthwise.results.terminal import say


@click.command(
    short_help="Measure an engine's step times for simulate.",
    epilog=examples("lengthwise calibrate MODEL --seats 16 --out profile.json"),
)
@flags.model
@flags.seats(16)
@flags.requests("Random requests to serve.", 120)
@flags.seed
@click.option("--out", type=values.PATH, metavar="FILE", required=True, help="The profile (JSON).")
def calibrate(model: str, seats: int, requests: int, seed: int, out: Path) -> None:
    """Measure how long the engine's steps take with MODEL, and write a profile for simulate."""
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
