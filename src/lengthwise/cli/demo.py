"""``lengthwise demo``: three policies on one machine, from model to comparison."""

from __future__ import annotations

from pathlib import Path

import click

from lengthwise.cli import flags
from lengthwise.core.checks import folder_for


@click.command(short_help="Three policies on this machine, nothing to prepare.")
@flags.out("results/demo")
def demo(out: Path) -> None:
    """Stock vLLM, TRAIL, and lengthwise without a predictor on vLLM, on prompts that differ."""
    from lengthwise.vllm.engine import check_vllm, preload_libraries

    folder_for(out)
    check_vllm()
    preload_libraries()
    from lengthwise.bench.demo import demo as show

    show(out)
