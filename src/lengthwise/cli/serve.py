"""``lengthwise serve``: vLLM's own server with lengthwise in it."""

from __future__ import annotations

import click

from lengthwise.cli import flags
from lengthwise.cli.front import Front, front
from lengthwise.cli.front import page as page_flag
from lengthwise.cli.groups import examples
from lengthwise.cli.service import check_promises, classes, read


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
@flags.text("--policy", "lengthwise", "NAME", "E.g. lengthwise, lengthwise:0.1, trail, sjf, fcfs.")
@flags.predictor()
@flags.whole("--slice", None, "Most tokens served at a time.")
@flags.text("--scoring", "auto", "WHERE", "New prompts on a thread, in a process, or auto.")
@flags.learn
@classes
@front
@page_flag
@flags.telling
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="[VLLM FLAGS]...")
def serve(
    model: str,
    policy: str,
    predictor: str | None,
    slice: int | None,
    scoring: str,
    learn: flags.Learn,
    classes: str | None,
    front: Front,
    page: str,
    telling: flags.Telling,
    rest: tuple[str, ...],
) -> None:
    """Serve MODEL with vLLM's own OpenAI-compatible server; every further flag goes to vLLM.

    The policy lengthwise needs no training: it learns from what it serves to predict lengths, and
    uses that once it has shown its worth. --predictor gives it a predictor trained beforehand.
    With --classes it is lengthwise+targets, which keeps what classes of requests are promised.
    """
    from lengthwise.policies import with_targets
    from lengthwise.vllm.serve import serve as start
    from lengthwise.vllm.settings import Settings

    service = read(classes)
    check_promises([policy], service)
    policy = policy if service is None else with_targets(policy)
    settings = Settings(
        policy=policy if slice is None else f"{policy}+slice:{slice}",
        probe=predictor,
        scoring=scoring,
        classes={} if service is None else service.plain(),
        **learn.settings(),
        page=page == "on",
        **front.settings(),
        **telling.settings(),
    )
    start(model, settings, front.added(rest))
