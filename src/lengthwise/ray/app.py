"""``lengthwise route``: replicas, router and HTTP on Ray Serve."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from lengthwise.core.checks import at_least, check_port, not_negative, positive
from lengthwise.errors import UserError
from lengthwise.online.scorer import Scorer
from lengthwise.policies import make_policy
from lengthwise.ray.listening import is_loopback, listening
from lengthwise.results.terminal import say
from lengthwise.routing import make_router
from lengthwise.vllm.engine import check_memory, is_cpu_build, preload
from lengthwise.vllm.flags import Flags
from lengthwise.vllm.serve import allow_plugins, server_flags
from lengthwise.vllm.settings import Settings

APP, REPLICAS, INGRESS = "lengthwise", "replicas", "ingress"

_HEALTH_S = 2
"""Seconds between two looks at the health of an actor."""

_ALONE = {"--host", "--port", "--uds", "--headless", "--api-server-count"}
"""Flags of vLLM's server that say how it is reached, or in how many processes it runs."""

_WORLD = (
    ("--tensor-parallel-size", "-tp"),
    ("--pipeline-parallel-size", "-pp"),
    ("--data-parallel-size", "-dp"),
)
"""The flags whose product is the GPUs of one replica."""


@dataclass(frozen=True)
class Route:
    """What to serve.

    Attributes:
        replicas: vLLM engines, each in an actor of its own.
        router: which of :data:`lengthwise.routing.ROUTERS` chooses among them.
        seats: most requests in one step of an engine.
        report_s: seconds between two load reports of a replica.
        ingresses: processes that clients connect to, all on the same port.
        drain_s: seconds for requests under way when a replica or ingress is to go.
        flags: further flags of ``vllm serve``, for each replica.
    """

    model: Path
    settings: Settings
    replicas: int = 2
    router: str = "predicted"
    seats: int = 8
    host: str = "127.0.0.1"
    port: int = 8000
    report_s: float = 1.0
    ingresses: int = 1
    drain_s: float = 600.0
    flags: list[str] = field(default_factory=list)


def absolute(probe: str | None) -> str | None:
    """The predictors' folder as replicas find it: they have working directories of their own."""
    return str(Path(probe).resolve()) if probe is not None and Path(probe).is_dir() else probe


def check_names(route: Route) -> None:
    """Refuse names and numbers that mean nothing; reads nothing.

    Raises:
        UserError: an unknown policy or router, no predictor for it, or a number out of range.
    """
    router, policy = make_router(route.router), make_policy(route.settings.policy)
    at_least(1, instances=route.replicas, seats=route.seats, ingresses=route.ingresses)
    positive(report_interval=route.report_s)
    not_negative(drain=route.drain_s)
    alone = sorted(Flags(route.flags).names & _ALONE)
    if alone:
        raise UserError(f"{alone[0]} is not for replicas: lengthwise route does that itself")
    if policy.source == "oracle":
        raise UserError("the oracle policy needs true lengths: its bench is of one engine")
    ranks_by_it = policy.source != "none" and policy.needs_predictions
    if (router.predicts or ranks_by_it) and route.settings.probe is None:
        raise UserError(f"{route.router} over {route.settings.policy} predicts: give --predictor")


def check(route: Route) -> list[str]:
    """Refuse at once what cannot work; the flags of ``vllm serve`` for each replica.

    Raises:
        UserError: what :func:`check_names` refuses; no Ray, wrong vLLM, a predictor or model
            that does not do, flags that do not go together, a port in use, or too little memory.
    """
    check_names(route)
    if route.settings.probe is not None and make_router(route.router).predicts:
        Scorer.load(route.settings.probe, str(route.model))
    check_port(route.host, route.port)
    flags = replica_flags(route)
    # Last, because it takes seconds to import.
    try:
        import ray.serve  # noqa: F401
    except ImportError as error:
        raise UserError(f"Ray Serve is missing ({error}): pip install 'lengthwise[ray]'") from None
    check_memory(str(route.model), route.replicas)
    return flags


def replica_flags(route: Route) -> list[str]:
    """The flags of ``vllm serve`` for each replica, checked.

    Raises:
        UserError: wrong vLLM, a predictor or model that does not do, flags that do not go together.
    """
    own = [] if Flags(route.flags).sets("--max-num-seqs") else ["--max-num-seqs", f"{route.seats}"]
    # A prediction is only believed as a router's where nobody but a route is a client.
    settings = replace(route.settings, routed=True)
    return server_flags(str(route.model), settings, [*own, *route.flags])


def redeploy(route: Route) -> None:
    """Change the route that this process serves: replicas that are too many finish what they have.

    Blocks until the change is made.
    """
    from ray import serve

    serve.run(application(route, replica_flags(route)), name=APP, route_prefix=None)


@contextmanager
def serving(route: Route) -> Iterator[str]:
    """The address of the running route, which ends with the block, as SIGTERM ends the block.

    Raises:
        UserError: what :func:`check` refuses, or a replica that does not start.
    """
    flags = check(route)
    allow_plugins(route.settings)
    import ray
    from ray import serve

    try:
        _start(route, flags)
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


def _start(route: Route, flags: list[str]) -> None:
    import ray
    from ray import serve

    # A machine busy with other things takes its time to start Ray's own processes.
    os.environ.setdefault("RAY_raylet_start_wait_time_s", "120")
    # Ray's workers have niceness 15, and so would the engines below them.
    os.environ.setdefault("RAY_worker_niceness", "0")
    # An engine must not outlive the actor that started it: it would keep its memory.
    os.environ.setdefault("RAY_kill_child_processes_on_worker_exit_with_raylet_subreaper", "true")
    try:
        ray.init(
            num_cpus=route.replicas + 4,
            include_dashboard=False,
            object_store_memory=128 * 2**20,
            logging_level="ERROR",
            log_to_driver=bool(os.environ.get("LENGTHWISE_RAY_LOG")),
        )
        # The ingresses listen themselves: a proxy before them took 5 ms of each request.
        serve.start(proxy_location="Disabled")
        serve.run(application(route, flags), name=APP, route_prefix=None)
    except Exception as error:
        # Ray raises bare exceptions, and pages of them.
        raise UserError(f"Ray Serve did not start: {str(error).splitlines()[0]}") from error


def application(route: Route, flags: list[str]) -> Any:
    """The deployments: replicas, of which our router hears, and the ingresses.

    Args:
        flags: of ``vllm serve``, as :func:`check` gives them.
    """
    from ray import serve

    from lengthwise.ray.ingress import Ingress

    ingress = serve.deployment(
        name=INGRESS,
        num_replicas=route.ingresses,
        max_ongoing_requests=100_000,
        health_check_period_s=_HEALTH_S,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=route.drain_s,
        ray_actor_options={"num_cpus": 0},
    )(Ingress)
    return ingress.bind(_replicas(route, flags), listening(route.host, route.port, route.flags))


def _replicas(route: Route, flags: list[str]) -> Any:
    from ray import serve
    from ray.serve.config import RequestRouterConfig

    from lengthwise.ray.replica import Replica

    cpu, read = is_cpu_build(), Flags(flags)
    chosen = RequestRouterConfig(
        request_router_class="lengthwise.ray.router.LengthwiseRouter",
        request_router_kwargs={
            "router": route.router,
            "model": str(route.model),
            "probe": route.settings.probe,
            "seats": read.number(route.seats, "--max-num-seqs"),
            "ranked": make_policy(route.settings.policy).source != "none",
        },
        request_routing_stats_period_s=route.report_s,
    )
    gpus = prod(read.number(1, *names) for names in _WORLD)
    return serve.deployment(
        name=REPLICAS,
        num_replicas=route.replicas,
        # vLLM has a queue of its own, ordered by the policy; Ray Serve's would be in its way.
        max_ongoing_requests=100_000,
        request_router_config=chosen,
        health_check_period_s=_HEALTH_S,
        health_check_timeout_s=60,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=route.drain_s + 10,
        ray_actor_options={
            "num_cpus": 0 if cpu else 1,
            "num_gpus": 0 if cpu else gpus,
            "runtime_env": {"env_vars": _environment() if cpu else {}},
        },
    )(Replica).bind(
        flags,
        # Replicas listen no further than the route does.
        route.host if is_loopback(route.host) else "",
        _cores() if cpu else [],
        route.drain_s,
    )


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def _environment() -> dict[str, str]:
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
