"""``lengthwise route``: replicas, router and HTTP on Ray Serve."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lengthwise.core.checks import at_least, check_port, positive
from lengthwise.errors import UserError
from lengthwise.models.served import check_model, context_of
from lengthwise.online.scorer import Scorer
from lengthwise.policies import make_policy
from lengthwise.results.terminal import say
from lengthwise.routing import make_router
from lengthwise.vllm.engine import check_memory, check_vllm, is_cpu_build, preload
from lengthwise.vllm.settings import Settings

REPLICAS = "replicas"
APP = "lengthwise"


@dataclass(frozen=True)
class Route:
    """What to serve.

    Attributes:
        replicas: vLLM engines, each in an actor of its own.
        router: which of :data:`lengthwise.routing.ROUTERS` chooses among them.
        report_s: seconds between two load reports of a replica.
        most_tokens: of prompt and answer together.
        engine: further arguments of vLLM's engine.
    """

    model: Path
    settings: Settings
    replicas: int = 2
    router: str = "predicted"
    seats: int = 8
    host: str = "127.0.0.1"
    port: int = 8000
    report_s: float = 1.0
    most_tokens: int = 2048
    engine: dict[str, Any] = field(default_factory=dict)


def absolute(probe: str | None) -> str | None:
    """The predictors' folder as replicas find it: they have working directories of their own."""
    return str(Path(probe).resolve()) if probe is not None and Path(probe).is_dir() else probe


def check_names(route: Route) -> None:
    """Refuse names and numbers that mean nothing; reads nothing.

    Raises:
        UserError: an unknown policy or router, no predictor for it, or a number out of range.
    """
    router, policy = make_router(route.router), make_policy(route.settings.policy)
    at_least(1, instances=route.replicas, seats=route.seats)
    positive(report_interval=route.report_s)
    if policy.source == "oracle":
        raise UserError("the oracle policy needs true lengths: its bench is of one engine")
    ranks_by_it = policy.source != "none" and policy.needs_predictions
    if (router.predicts or ranks_by_it) and route.settings.probe is None:
        raise UserError(f"{route.router} over {route.settings.policy} predicts: give --predictor")


def check(route: Route) -> None:
    """Refuse at once what cannot work.

    Raises:
        UserError: what :func:`check_names` refuses; no Ray, wrong vLLM, a predictor or model
            that does not do, a port in use, or too little memory.
    """
    check_names(route)
    check_vllm(route.settings)
    if route.settings.probe is not None and make_router(route.router).predicts:
        Scorer.load(route.settings.probe, str(route.model))
    route.settings.check(str(route.model))
    check_model(route.model)
    check_port(route.host, route.port)
    # Last, because it takes seconds to import.
    try:
        import ray.serve  # noqa: F401
    except ImportError as error:
        raise UserError(f"Ray Serve is missing ({error}): pip install 'lengthwise[ray]'") from None
    check_memory(str(route.model), route.replicas)


@contextmanager
def serving(route: Route) -> Iterator[str]:
    """The address of the running route, which ends with the block, as SIGTERM ends the block.

    Raises:
        UserError: what :func:`check` refuses, or a replica that does not start.
    """
    check(route)
    import ray
    from ray import serve

    try:
        _start(route)
        # Ray has handlers of its own; and what a script starts in the background ignores SIGINT.
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.default_int_handler)
        yield f"http://{route.host}:{route.port}"
    finally:
        serve.shutdown()
        ray.shutdown()


def use_router(name: str) -> None:
    """Let another router choose in the route that this process serves."""
    from ray import serve

    serve.get_app_handle(APP).use_router.remote(name).result(timeout_s=60)


def _start(route: Route) -> None:
    import ray
    from ray import serve

    # A machine busy with other things takes its time to start Ray's own processes.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    try:
        ray.init(
            num_cpus=route.replicas + 4,
            include_dashboard=False,
            object_store_memory=128 * 2**20,
            logging_level="ERROR",
            log_to_driver=bool(os.environ.get("LENGTHWISE_RAY_LOG")),
        )
        serve.start(http_options={"host": route.host, "port": route.port})
        serve.run(application(route), name=APP, route_prefix="/")
    except Exception as error:
        # Ray raises bare exceptions, and pages of them.
        raise UserError(f"Ray Serve did not start: {str(error).splitlines()[0]}") from error


def application(route: Route) -> Any:
    """The deployments: replicas behind our router, and the ingress."""
    from ray import serve
    from ray.serve.config import RequestRouterConfig

    from lengthwise.ray.ingress import Ingress
    from lengthwise.ray.replica import Replica

    cpu = is_cpu_build()
    ranked = make_policy(route.settings.policy).source != "none"
    chosen = RequestRouterConfig(
        request_router_class="lengthwise.ray.router.LengthwiseRouter",
        request_router_kwargs={
            "router": route.router,
            "model": str(route.model),
            "probe": route.settings.probe,
            "seats": route.seats,
            "ranked": ranked,
        },
        request_routing_stats_period_s=route.report_s,
    )
    replicas = serve.deployment(
        name=REPLICAS,
        num_replicas=route.replicas,
        # vLLM has a queue of its own, ordered by the policy; Ray Serve's would be in its way.
        max_ongoing_requests=100_000,
        request_router_config=chosen,
        health_check_period_s=5,
        health_check_timeout_s=60,
        graceful_shutdown_timeout_s=5,
        ray_actor_options={
            "num_cpus": 0 if cpu else 1,
            "num_gpus": 0 if cpu else 1,
            "runtime_env": {"env_vars": _environment(route) if cpu else {}},
        },
    )(Replica).bind(
        str(route.model),
        route.seats,
        route.settings.additional_config(),
        _cores() if cpu else [],
        route.engine,
    )
    ingress = serve.deployment(
        name="ingress",
        max_ongoing_requests=100_000,
        ray_actor_options={"num_cpus": 0},
    )(Ingress)
    most_tokens = min(route.most_tokens, context_of(route.model))
    return ingress.bind(replicas, str(route.model), most_tokens)


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def _environment(route: Route) -> dict[str, str]:
    """One core a replica, its share of memory, and the libraries that make it fast."""
    return {
        "VLLM_CPU_KVCACHE_SPACE": os.environ.get("VLLM_CPU_KVCACHE_SPACE", "1"),
        "OMP_NUM_THREADS": "1",
        **preload(),
    }


def run(route: Route) -> None:
    """Serve until interrupted or told to end; the replicas end too."""
    with serving(route) as address:
        say(f"{route.replicas} replicas behind {route.router} at {address}/v1", sys.stderr)
        while True:
            time.sleep(3600)
