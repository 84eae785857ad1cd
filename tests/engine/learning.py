"""A real engine whose learner is killed: ``python learning.py MODEL PROMPTS FOLDER OUT``.

PROMPTS is a JSON file of token ids, FOLDER is where what is learned is kept.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lengthwise.online import tutor
from lengthwise.vllm.engine import build_engine, prepare_process
from lengthwise.vllm.settings import Settings

SEATS, KILLS, ROUNDS = 4, 20, 4


def answers_of(
    engine: Any, prompts: list[list[int]], stops: list[int], finished: Callable[[], object]
) -> dict[str, list[int]]:
    """Answers that end at one of the tokens ``stops``, of all prompts several times."""
    from vllm import SamplingParams

    answers = {}
    for i, ids in enumerate(prompts * ROUNDS):
        params = SamplingParams(temperature=0, max_tokens=40, stop_token_ids=stops)
        # No two are alike: each is learned from, or held back, for itself.
        engine.add_request(str(i), {"prompt_token_ids": [*ids, 40 + i // len(prompts)]}, params)
    while engine.has_unfinished_requests():
        for output in engine.step():
            if output.finished:
                answers[output.request_id] = list(output.outputs[0].token_ids)
                finished()
    return answers


def main(model: str, prompts: list[list[int]], folder: str) -> dict[str, Any]:
    stock = build_engine(model, SEATS, scheduler_cls="lengthwise.vllm.StockScheduler")
    ends = [".", "\n", ",", ":"]
    stops = [ids[-1] for ids in map(stock.get_tokenizer().encode, ends)]
    expected = answers_of(stock, prompts, stops, lambda: None)

    tutor.PAUSE_S = 0.0
    learning = {"folder": folder, "first": 20, "judges": 10, "seconds": 1e9}
    start = time.monotonic()
    engine = build_engine(
        model,
        SEATS,
        scheduler_cls="lengthwise.vllm.Scheduler",
        additional_config=Settings(learning=learning).additional_config(),
    )
    scheduler = engine.engine_core.engine_core.scheduler
    lessons = scheduler._lessons
    tutored = lessons._tutor
    draw, killed = random.Random(0), 0

    def finished() -> None:
        nonlocal killed
        if killed < KILLS and tutored._child is not None and draw.random() < 0.7:
            wait(lambda: tutored.pid)
            os.kill(tutored.pid, signal.SIGKILL)
            killed += 1
            # Each process is killed once: the next finished request starts another.
            wait(lambda: lessons.begins() or tutored._child is None)

    answers = answers_of(engine, prompts, stops, finished)
    rest = answers_of(engine, prompts, stops, lambda: None)
    wait(lambda: lessons.begins() or list(Path(folder).glob("version-*")))
    stats = scheduler.prediction_stats()
    pid = tutored.pid
    engine.engine_core.shutdown()
    return {
        "same": answers == expected == rest,
        "lengths": sorted({len(ids) for ids in answers.values()}),
        "killed": killed,
        "stats": stats,
        "seconds": time.monotonic() - start,
        "pid": pid,
        "files": sorted(path.name for path in Path(folder).iterdir()),
    }


def wait(found: Callable[[], object], seconds: float = 600.0) -> None:
    """The limit only ends a test that hangs."""
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


if __name__ == "__main__":
    prepare_process()
    found = main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()), sys.argv[3])
    Path(sys.argv[4]).write_text(json.dumps(found))
