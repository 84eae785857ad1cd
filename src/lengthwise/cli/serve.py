"""``lengthwise serve``: vLLM's own server with lengthwise in it."""

from __future__ import annotations

import click

from lengthwise.cli import flags
from lengthwise.cli.groups import examples
from lengthwise.cli.service import check_promises, read
from lengthwise.cli.serving import Serving, serving


@click.command(
    short_help="vllm serve with lengthwise in it.",
    context_settings={"ignore_unknown_options": True},
    epilog=examples(
        "lengthwise serve MODEL --port 8000",
        "lengthwise serve MODEL --predictor FOLDER --max-num-seqs 64",
        "lengthwise serve MODEL --predictor FOLDER --policy trail",
        "lengthwise serve MODEL --classes classes.toml",
    ),
)
@flags.model
@serving
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="[VLLM FLAGS]...")
def serve(
    model: str,
    serving: Serving,
    rest: tuple[str, ...],
) -> None:
    """Serve MODEL with vLLM's own OpenAI-compatible server; every further flag goes to vLLM.

    The policy lengthwise needs no training: it learns from what it serves to predict lengths, and
    uses that once it has shown its worth. --predictor gives it a predictor trained beforehand.
    With --classes it is lengthwise+targets, which keeps what classes of requests are promised.
    """
    from lengthwise.vllm.serve import serve as start

    service = read(serving.classes)
    check_promises([serving.policy], service)
    start(model, serving.settings(service), serving.front.added(rest))
