"""``lengthwise route``: several vLLM engines behind a router that knows lengths."""

from __future__ import annotations

from pathlib import Path

import click

from lengthwise.cli import flags
from lengthwise.cli.groups import examples


@click.command(
    short_help="Several vLLM engines on Ray Serve, one address.",
    epilog=examples(
        "lengthwise route MODEL --instances 2",
        "lengthwise route MODEL --instances 2 --router max-min --predictor FOLDER",
    ),
)
@flags.model
@flags.instances(2, "vLLM engines, each a replica on Ray Serve.")
@flags.text(
    "--router",
    None,
    "NAME",
    "Who chooses: p2c, max-min, ...; by default predicted with --predictor, or least-in-flight.",
)
@flags.text("--policy", "lengthwise", "NAME", "The order inside each instance.")
@flags.predictor()
@flags.learn
@flags.seats(8)
@flags.text("--host", "127.0.0.1", "HOST", "Address to listen on.")
@flags.whole("--port", 8000, "Port to listen on.")
@flags.report_interval
def route(
    model: str,
    instances: int,
    router: str | None,
    policy: str,
    predictor: str | None,
    learn: flags.Learn,
    seats: int,
    host: str,
    port: int,
    report_interval: float,
) -> None:
    """Serve MODEL with several vLLM engines behind one address."""
    from lengthwise.models.fingerprint import model_folder
    from lengthwise.ray.app import Route, absolute, run
    from lengthwise.vllm.settings import Settings

    folder = Path(model_folder(model)).resolve()
    settings = Settings(policy=policy, probe=absolute(predictor), **learn.settings())
    router = router or ("least-in-flight" if predictor is None else "predicted")
    run(Route(folder, settings, instances, router, seats, host, port, report_interval))
