"""``python -m lengthwise.bench.kills MODEL``: parts of a route are killed under load.

Many requests are sent at once, half of them streamed. Once some are answered, a replica, an
engine core or an ingress is killed, or (``scale``) one replica is to go. Answers are compared with
those of one replica's server, asked directly. A client sends a request again, as OpenAI's own
does, if it got an error of the server, or no connection, before anything of the answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import psutil

from lengthwise.bench.front import free_port, routing
from lengthwise.bench.insisting import bodies, send_all
from lengthwise.core.checks import at_least
from lengthwise.errors import UserError
from lengthwise.models.fingerprint import model_folder

if TYPE_CHECKING:
    from lengthwise.ray.app import Route

VICTIMS = {
    "replica": "ServeReplica:lengthwise:replicas",
    "engine": "VLLM::EngineCore",
    "ingress": "ServeReplica:lengthwise:ingress",
}
"""What is killed, and what its process is called."""

SCALE = "scale"
"""Stands for no kill: one replica less from now on."""

_PATIENCE_S = 300.0


@dataclass(frozen=True)
class Outcome:
    """What became of the requests of one kill.

    Attributes:
        answered: of ``requests``, those with a whole answer.
        same: of those, the ones whose text is the single server's.
        again: requests that their client had to send again.
        broken: streams that had begun, which nobody can send again.
        lost: requests without an answer that had not begun.
        whole_s: seconds from the kill until all parts were there again; None: nobody waited.
    """

    victim: str
    requests: int
    answered: int
    same: int
    again: int
    broken: int
    lost: int
    whole_s: float | None


def plan(model: Path, seats: int, ingresses: int, policy: str) -> Route:
    """A route with two replicas, on a free port."""
    from lengthwise.ray.app import Route
    from lengthwise.vllm.settings import Settings

    flags = ["--max-model-len", "1024", "--enforce-eager"]
    settings = Settings(policy=policy, learn=False)
    made = Route(model, settings, router="least-work", seats=seats, flags=flags)
    return replace(made, port=free_port(made.host), ingresses=ingresses)


@contextmanager
def running(route: Route) -> Iterator[str]:
    """The address of the route, as long as the block lasts."""
    from lengthwise.ray.app import serving

    with serving(route) as address:
        known = route.replicas
        until(lambda: len(routing(address).get("addresses", {})) == known, "all replicas")
        yield address


def until(done: Callable[[], bool], what: str) -> float:
    """Seconds until it was done.

    Raises:
        UserError: if it took too long.
    """
    start = time.monotonic()
    while not done():
        if time.monotonic() - start > _PATIENCE_S:
            raise UserError(f"{what} were not there within {_PATIENCE_S:.0f} s")
        time.sleep(0.1)
    return time.monotonic() - start


def processes(name: str) -> list[psutil.Process]:
    """Processes of that name below this one."""
    found = []
    for each in psutil.Process().children(recursive=True):
        try:
            if name in " ".join(each.cmdline()):
                found.append(each)
        except psutil.Error:
            continue
    return found


def kill(
    route: Route,
    address: str,
    victim: str,
    asked: list[dict[str, Any]],
    right: list[str],
    wait: bool,
) -> Outcome:
    """Kill one process of a kind while the requests are served, or scale down by a replica.

    Args:
        right: the answers of a single server.
        wait: afterwards, until all parts are there again.
    """
    less = victim == SCALE
    wanted = {
        name: len(processes(each)) - (less and name != "ingress") for name, each in VICTIMS.items()
    }
    killed: list[float] = []

    def now() -> None:
        killed.append(time.monotonic())
        if less:
            _scale_down(route)
        else:
            os.kill(processes(VICTIMS[victim])[0].pid, signal.SIGKILL)

    answers = asyncio.run(send_all(address, asked, now))
    if wait:
        until(lambda: _are_there(address, wanted), f"all parts after {victim}")
    pairs = list(zip(answers, right, strict=True))
    return Outcome(
        victim,
        requests=len(asked),
        answered=sum(it.text is not None for it in answers),
        same=sum(it.text == text for it, text in pairs),
        again=sum(it.tries > 1 for it in answers),
        broken=sum(it.broken for it in answers),
        lost=sum(it.text is None and not it.broken for it in answers),
        whole_s=round(time.monotonic() - killed[0], 1) if wait else None,
    )


def _are_there(address: str, wanted: dict[str, int]) -> bool:
    counts = {name: len(processes(each)) for name, each in VICTIMS.items()}
    return counts == wanted and len(_addresses(address)) == wanted["replica"]


def _scale_down(route: Route) -> None:
    from lengthwise.ray.app import redeploy

    less = replace(route, replicas=route.replicas - 1)
    # It takes as long as the replica drains, and the requests must go on meanwhile.
    threading.Thread(target=redeploy, args=(less,), daemon=True).start()


def _addresses(address: str) -> dict[str, str]:
    try:
        found: dict[str, str] = routing(address).get("addresses", {})
    except OSError:
        return {}
    return found


@click.command()
@click.argument("model")
@click.option("--victims", default="replica,engine,ingress,scale", show_default=True)
@click.option("--requests", default=200, show_default=True)
@click.option("--max-tokens", default=12, show_default=True)
@click.option("--seats", default=4, show_default=True)
@click.option("--ingresses", default=2, show_default=True)
@click.option("--policy", default="lengthwise", show_default=True)
@click.option("--answers", type=click.Path(path_type=Path), help="Keep the single server's here.")
@click.option("--wait/--no-wait", default=True, help="Until all is whole again after the last.")
def main(
    model: str,
    victims: str,
    requests: int,
    max_tokens: int,
    seats: int,
    ingresses: int,
    policy: str,
    answers: Path | None,
    wait: bool,
) -> None:
    """Kill parts of a route with two replicas of MODEL under load; a line of JSON for each."""
    at_least(1, requests=requests, max_tokens=max_tokens)
    names = victims.split(",")
    unknown = [name for name in names if name not in (*VICTIMS, SCALE)]
    if unknown:
        raise UserError(f"no {unknown[0]!r} to kill: name some of {', '.join(VICTIMS)}, {SCALE}")
    if SCALE in names[:-1]:
        raise UserError(f"{SCALE} comes last: after it a single replica is left")
    folder = Path(model_folder(model)).resolve()
    asked = bodies(folder, requests, max_tokens)
    made = plan(folder, seats, ingresses, policy)
    with running(made) as address:
        right = _right(address, asked, answers)
        for name in names:
            found = kill(made, address, name, asked, right, wait or name != names[-1])
            print(json.dumps(asdict(found)), flush=True)


def _right(address: str, asked: list[dict[str, Any]], kept: Path | None) -> list[str]:
    """The answers of one replica's server, asked directly; or those kept in a file."""
    if kept is not None and kept.is_file():
        found: list[str] = json.loads(kept.read_text())
        if len(found) == len(asked):
            return found
    single = next(iter(routing(address)["addresses"].values()))
    found = [it.text or "" for it in asyncio.run(send_all(single, asked))]
    if kept is not None:
        kept.write_text(json.dumps(found))
    return found


if __name__ == "__main__":
    main()
