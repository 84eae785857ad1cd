"""``python -m lengthwise.bench.beside MODEL``: what a route adds to a request, beside its replica.

The same request goes directly to a replica's server and through the route, in turns, over
connections that stay open. The difference is the route's own time.
"""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import numpy as np

from lengthwise.bench.front import routing
from lengthwise.bench.kills import plan, running
from lengthwise.models.fingerprint import model_folder

_WARM_UP = 20


def seconds(link: http.client.HTTPConnection, method: str, path: str, body: bytes | None) -> float:
    """One request over an open connection."""
    start = time.perf_counter()
    link.request(method, path, body, {"content-type": "application/json"})
    answer = link.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    return time.perf_counter() - start


def compare(direct: str, through: str, path: str, body: Any, count: int) -> dict[str, float]:
    """Milliseconds that the route adds: medians, 99th percentiles, and the median of pairs."""
    method, sent = ("GET", None) if body is None else ("POST", json.dumps(body).encode())
    links = [
        http.client.HTTPConnection(urlsplit(each).netloc, timeout=60) for each in (direct, through)
    ]
    found = [
        [1e3 * seconds(link, method, path, sent) for link in links] for _ in range(count + _WARM_UP)
    ]
    for link in links:
        link.close()
    times = np.array(found[_WARM_UP:])
    parts: dict[str, float] = {}
    for name, share in (("p50", 50), ("p90", 90), ("p99", 99)):
        first, second = np.percentile(times, share, axis=0)
        parts |= {
            f"direct_{name}": first,
            f"through_{name}": second,
            f"added_{name}": second - first,
        }
    parts["added_median_of_pairs"] = float(np.median(times[:, 1] - times[:, 0]))
    return {name: round(float(value), 3) for name, value in parts.items()}


@click.command()
@click.argument("model")
@click.option("--requests", default=1000, show_default=True, help="Of each kind.")
@click.option("--seats", default=4, show_default=True)
def main(model: str, requests: int, seats: int) -> None:
    """Measure what a route with two replicas of MODEL adds; a line of JSON for each request."""
    folder = Path(model_folder(model)).resolve()
    completion = {"model": str(folder), "prompt": "Rain is", "max_tokens": 1, "temperature": 0}
    with running(plan(folder, seats, 1, "lengthwise")) as address:
        direct = next(iter(routing(address)["addresses"].values()))
        asked: list[tuple[str, Any, int]] = [
            ("/v1/models", None, requests),
            ("/v1/completions", completion, max(requests // 5, 1)),
        ]
        for path, body, count in asked:
            print(json.dumps({"path": path, **compare(direct, address, path, body, count)}))


if __name__ == "__main__":
    main()
