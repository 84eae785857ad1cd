"""``lengthwise route``: several vLLM engines behind a router that knows lengths."""

from __future__ import annotations

from pathlib import Path

import click

from lengthwise.cli import flags
from lengthwise.cli.front import Front, front
from lengthwise.cli.front import page as page_flag
from lengthwise.cli.groups import examples
from lengthwise.cli.service import check_promises, classes, read


@click.command(
    short_help="Several vLLM engines on Ray Serve, one address.",
    context_settings={"ignore_unknown_options": True},
    epilog=examples(
        "lengthwise route MODEL --instances 2",
        "lengthwise route MODEL --instances 2 --ingresses 2 --api-key KEY --max-model-len 8192",
        "lengthwise route MODEL --instances 2 --router max-min --predictor FOLDER",
    ),
)
@flags.model
@flags.instances(2, "vLLM engines, each a replica on Ray Serve.")
@flags.text(
    "--router",
    None,
    "NAME",
    "Who chooses: p2c, max-min, ...; by default predicted with --predictor, or least-work.",
)
@flags.text("--policy", "lengthwise", "NAME", "The order inside each instance.")
@flags.predictor()
@flags.learn
@classes
@front
@page_flag
@flags.telling
@flags.seats(8)
@flags.text("--host", "127.0.0.1", "HOST", "Address to listen on.")
@flags.whole("--port", 8000, "Port to listen on.")
@flags.report_interval
@flags.whole("--ingresses", 1, "Processes that clients connect to; with two, one may die.")
@flags.number("--drain", 600.0, "Most seconds for answers under way when a process is to go.")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="[VLLM FLAGS]...")
def route(
    model: str,
    instances: int,
    router: str | None,
    policy: str,
    predictor: str | None,
    learn: flags.Learn,
    classes: str | None,
    front: Front,
    page: str,
    telling: flags.Telling,
    seats: int,
    host: str,
    port: int,
    report_interval: float,
    ingresses: int,
    drain: float,
    rest: tuple[str, ...],
) -> None:
    """Serve MODEL with several vLLM servers behind one address; every further flag goes to them."""
    from lengthwise.models.fingerprint import model_folder
    from lengthwise.policies import with_targets
    from lengthwise.ray.app import Route, absolute, run
    from lengthwise.vllm.settings import Settings

    folder = Path(model_folder(model)).resolve()
    service = read(classes)
    check_promises([policy], service)
    settings = Settings(
        policy=policy if service is None else with_targets(policy),
        probe=absolute(predictor),
        classes={} if service is None else service.plain(),
        **learn.settings(),
        page=page == "on",
        **front.settings(),
        **telling.settings(),
    )
    router = router or ("least-work" if predictor is None else "predicted")
    run(
        Route(
            *(folder, settings, instances, router, seats, host, port, report_interval),
            ingresses=ingresses,
            drain_s=drain,
            flags=front.added(rest),
        )
    )
