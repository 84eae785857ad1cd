"""``lengthwise route``."""

from __future__ import annotations

import argparse
from pathlib import Path

Commands = argparse._SubParsersAction  # the type has no public name


def add_route(commands: Commands[argparse.ArgumentParser]) -> None:
    """Several vLLM replicas behind a length-aware router."""
    it = commands.add_parser("route", help="several vLLM replicas on Ray Serve, one address")
    it.add_argument("model", help="folder of the model")
    it.add_argument("--replicas", type=int, default=2)
    it.add_argument("--router", default="predicted", help="e.g. predicted, least-in-flight, p2c")
    it.add_argument("--policy", default="trail", help="the order inside each replica")
    it.add_argument("--probe", help="folder of trained predictors; builtin is SmolLM2's")
    it.add_argument("--seats", type=int, default=8, help="requests in a step of one replica")
    it.add_argument("--host", default="127.0.0.1")
    it.add_argument("--port", type=int, default=8000)
    it.add_argument("--report", type=float, default=1.0, help="seconds between load reports")
    it.set_defaults(run=_route)


def _route(args: argparse.Namespace) -> None:
    from lengthwise.models.fingerprint import model_folder
    from lengthwise.ray.app import Route, absolute, run
    from lengthwise.vllm.settings import Settings

    model = Path(model_folder(args.model)).resolve()
    settings = Settings(policy=args.policy, probe=absolute(args.probe))
    run(
        Route(
            model,
            settings,
            args.replicas,
            args.router,
            args.seats,
            args.host,
            args.port,
            args.report,
        )
    )
