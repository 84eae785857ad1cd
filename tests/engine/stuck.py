"""Serves while the prediction process is stuck: ``python stuck.py MODEL PROBE FOLDER OUT.json``."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lengthwise.vllm.engine import build_engine, prepare_process
from lengthwise.vllm.settings import Settings


def main(model: str, probe: str, folder: str) -> dict[str, Any]:
    from vllm import SamplingParams

    settings = Settings(
        policy="sjf",
        probe=probe,
        scoring="process",
        learn=True,
        learning={"folder": folder},
    )
    engine = build_engine(
        model,
        1,
        scheduler_cls="lengthwise.vllm.Scheduler",
        additional_config=settings.additional_config(),
    )
    scheduler = engine.engine_core.engine_core.scheduler
    arrivals = scheduler.arrivals
    predicted: dict[str, float] = {}
    keep = scheduler.predict

    def note(request_id: str, tokens: float) -> None:
        predicted[request_id] = tokens
        keep(request_id, tokens)

    scheduler.predict = note
    params = SamplingParams(temperature=0, max_tokens=12)

    def serve(*names: str) -> dict[str, int]:
        """Answer lengths, in the order in which they were finished."""
        for i, name in enumerate(names):
            engine.add_request(name, {"prompt_token_ids": [1, 2, 3, 40 + i]}, params)
        done = {}
        while engine.has_unfinished_requests():
            for output in engine.step():
                if output.finished:
                    done[output.request_id] = len(output.outputs[0].token_ids)
        return done

    wait(lambda: (arrivals.ready(), scheduler.prediction_stats()["up"])[1])
    # Behind the one that takes a router's predictions.
    client = arrivals._otherwise._given._client
    scoring_processes = scorers()
    # By this clock, the process is silent only for as long as this script says.
    now = 0.0
    client.clock = lambda: now
    os.kill(client.child.pid, signal.SIGSTOP)
    while_stuck = serve("a", "b")
    scores_while_stuck = len(predicted)
    restarts_while_stuck = scheduler.prediction_stats()["restarts"]
    now = settings.scoring_timeout + 1.0
    arrivals.ready()
    restarts = scheduler.prediction_stats()["restarts"]
    wait(lambda: (arrivals.ready(), scheduler.prediction_stats()["up"])[1])
    engine.add_request("c", {"prompt_token_ids": [1, 2, 3, 50]}, params)
    engine.add_request("d", {"prompt_token_ids": [1, 2, 3, 51]}, params)
    engine.step()
    wait(lambda: scheduler_scores(scheduler, predicted))
    done = serve()
    pid = client.child.pid
    engine.engine_core.shutdown()
    return {
        "while_stuck": while_stuck,
        "scores_while_stuck": scores_while_stuck,
        "restarts": [restarts_while_stuck, restarts],
        "after": done,
        "scores": len(predicted),
        "scoring_processes": scoring_processes,
        "stats": scheduler.prediction_stats(),
        "still_there": Path(f"/proc/{pid}").exists(),
    }


def scorers() -> int:
    """How many processes of this one's score prompts."""
    found = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            command = (process / "cmdline").read_text()
            found += parent == str(os.getpid()) and "lengthwise.online.service" in command
    return found


def scheduler_scores(scheduler: Any, predicted: dict[str, float]) -> bool:
    for request_id, tokens in scheduler.arrivals.ready():
        scheduler.predict(request_id, tokens)
    return bool(predicted)


def wait(found: Callable[[], bool], seconds: float = 600.0) -> None:
    """The limit only ends a test that hangs."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


if __name__ == "__main__":
    prepare_process()
    Path(sys.argv[4]).write_text(json.dumps(main(*sys.argv[1:4])))
