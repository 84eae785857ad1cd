"""Two replicas on Ray Serve whose reports are noted: ``python reports.py MODEL PORT FOLDER``.

FOLDER gets a file of JSON lines for each replica, and ``told.json``: what the router was told.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx

import lengthwise.ray.replica
from lengthwise.ray.app import Route, serving
from lengthwise.ray.replica import Replica
from lengthwise.vllm.hints import PREDICTED_HINT
from lengthwise.vllm.settings import Settings

FOLDER = sys.argv[3]

_PATIENCE_S = 300.0
"""With a test that hangs; it takes some seconds."""


class Watched(Replica):
    """Notes each report beside what its scheduler was last told by its own probe."""

    def _load(self) -> dict[str, Any]:
        load = super()._load()
        scheduler = self._driver._scheduler
        probed = {}
        for id, request in scheduler.requests.items():
            view = scheduler._views[id]
            if view.probed:
                hints = request.sampling_params.extra_args
                probed[id] = {
                    "generated": request.num_output_tokens,
                    "at": view._predicted_at,
                    "remaining": view._remaining,
                    "router": hints[PREDICTED_HINT]["tokens"],
                }
        note = {"held": load["held"], "left": load["left"], "probed": probed}
        with (Path(FOLDER) / f"{self._name}.jsonl").open("a") as file:
            file.write(json.dumps(note) + "\n")
        return load


def main(model: str, port: int) -> dict[str, list[float]]:
    """Requests come until both replicas have reported and the router has been told."""
    settings = Settings(policy="trail", probe="builtin", learn=False)
    told: dict[str, list[float]] = {}
    enough = threading.Event()
    with serving(Route(Path(model), settings, seats=2, port=port, report_s=0.2)) as address:
        clients = [threading.Thread(target=ask, args=(address, i, enough)) for i in range(6)]
        for client in clients:
            client.start()
        end = time.monotonic() + _PATIENCE_S
        while len(told) < 4 or len(reported()) < 2:
            assert time.monotonic() < end, "no replica tells what is left"
            for router in httpx.get(f"{address}/v1/routing", timeout=_PATIENCE_S).json():
                for id, tokens in router["told"].items():
                    told.setdefault(id, []).append(tokens)
            time.sleep(0.05)
        enough.set()
        for client in clients:
            client.join()
    return told


def ask(address: str, i: int, enough: threading.Event) -> None:
    while not enough.is_set():
        body = {"prompt": f"Here are {i + 2} stories about rain.", "max_tokens": 200}
        answer = httpx.post(f"{address}/v1/completions", json=body, timeout=_PATIENCE_S)
        answer.raise_for_status()


def reported() -> list[Path]:
    """Notes of replicas that have told of some request what is left."""
    return [file for file in Path(FOLDER).glob("*.jsonl") if '"left": {"' in file.read_text()]


if __name__ == "__main__":
    lengthwise.ray.replica.Replica = Watched  # type: ignore[misc]
    found = main(sys.argv[1], int(sys.argv[2]))
    (Path(FOLDER) / "told.json").write_text(json.dumps(found))
