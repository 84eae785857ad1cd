"""``lengthwise demo``: the whole way on one machine, from model to comparison."""

from __future__ import annotations

from pathlib import Path

import click

from lengthwise.cli import flags
from lengthwise.core.checks import folder_for


@click.command(short_help="Model, training and comparison in one go.")
@flags.out("results/demo")
def demo(out: Path) -> None:
    """The whole way on this machine: model, training in small, FCFS against TRAIL on vLLM."""
    from lengthwise.vllm.engine import check_vllm, preload_libraries

    folder_for(out)
    check_vllm()
    preload_libraries()
    from lengthwise.bench.demo import demo as show

    show(out)
