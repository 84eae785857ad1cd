"""One run in a process of its own: a fresh engine, one policy, open-loop arrivals.

``python -m lengthwise.bench.worker RUN.json RESULT.json LOG``: the bench command writes the
first file and reads the second, so no run inherits anything from another.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from lengthwise.bench.turns import Clock
from lengthwise.core.text import visible
from lengthwise.errors import UserError
from lengthwise.metrics.counters import COSTS
from lengthwise.policies import make_policy
from lengthwise.results.timings import Life, figures
from lengthwise.vllm.arrivals import OraclePredictor
from lengthwise.vllm.engine import build_engine, preload_libraries
from lengthwise.vllm.engine_log import engine_log
from lengthwise.vllm.hints import ORACLE_HINT
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.steps import StepLog
from lengthwise.workload.clients import TENANT_HINT

_LOADING_S = 120.0
"""Patience with a prediction process before the run begins without it."""

REFUSED = 2
"""Exit status of a run that is bad: its result is what is wrong with it, a line."""

STOCK = "stock"
"""The run that uses vLLM's own scheduler."""


@dataclass(frozen=True)
class Run:
    """Everything one run needs.

    ``requests``: per request its id, prompt token ids, arrival in seconds and, where an
    earlier run measured it, the length of its answer (for the oracle predictor alone); and
    what its client says of it, tenant and priority. ``until``: see ``measure.figures``.
    """

    policy: str
    model: str
    probe: str | None
    seats: int
    cap: int
    rate: float | None
    seed: int
    requests: list[dict[str, Any]]
    engine: dict[str, Any]
    settings: dict[str, Any]
    position: int = 0
    until: int | None = None

    @property
    def oracle(self) -> bool:
        """Whether its policy is told true lengths."""
        return self.policy != STOCK and make_policy(self.policy).source == "oracle"


def execute(run: Run, clock: Clock | None = None, terminal: TextIO | None = None) -> dict[str, Any]:
    """Serve the run's requests; figures, and each request's life and answer.

    ``clock`` is the run's own, for one that takes turns with others; ``terminal`` shows its
    progress (default: standard error).

    Raises:
        UserError: if the engine cannot be built as asked.
    """
    OraclePredictor.allowed = True
    engine = build_engine(run.model, run.seats, **run.engine, **_scheduling(run))
    _warm_up(engine)
    scheduler = engine.engine_core.engine_core.scheduler
    steps = StepLog(scheduler)
    # Policies must not count the time in which other runs have their turn.
    clock = clock or Clock(turns=False)
    scheduler.clock = clock.now
    lives, busy_s = _serve(engine, run, clock, steps, terminal)
    return {
        **figures(lives, COSTS.snapshot(), busy_s, run.until),
        "lives": [asdict(life) for life in lives],
        "windows": steps.windows,
    }


def _scheduling(run: Run) -> dict[str, Any]:
    if run.policy == STOCK:
        return {"scheduler_cls": "lengthwise.vllm.StockScheduler"}
    settings = Settings(policy=run.policy, probe=run.probe, **run.settings)
    return {
        "scheduler_cls": "lengthwise.vllm.Scheduler",
        "additional_config": settings.additional_config(),
    }


def _warm_up(engine: Any) -> None:
    """Short requests, so that first-time costs hit no policy; then a clean slate.

    They go on until a predictor in a process of its own has loaded and scored one.
    """
    from vllm import SamplingParams

    scheduler: Any = engine.engine_core.engine_core.scheduler
    end = time.monotonic() + _LOADING_S
    for i in count():
        params = SamplingParams(temperature=0, max_tokens=4)
        engine.add_request(f"warm-{i}", {"prompt_token_ids": [1, 2, 3, 4 + i]}, params)
        while engine.has_unfinished_requests():
            engine.step()
        if i and (scheduler.prediction_stats().get("scored", 1) or time.monotonic() > end):
            break
    engine.reset_prefix_cache()
    COSTS.reset()


def _serve(
    engine: Any, run: Run, clock: Clock, steps: StepLog, terminal: TextIO | None
) -> tuple[list[Life], float]:
    """The open loop: requests arrive when they arrive, however far behind the engine is."""
    from vllm import SamplingParams

    lives = {r["id"]: Life(r["id"], r["arrival"], tenant=r["tenant"]) for r in run.requests}
    pending = sorted(run.requests, key=lambda r: r["arrival"], reverse=True)
    bar = tqdm(
        total=len(pending),
        desc=f"{visible(run.policy):>12}",
        unit="request",
        position=run.position,
        file=terminal,
    )
    oracle = run.oracle
    busy_s = 0.0
    clock.start()
    while pending or engine.has_unfinished_requests():
        clock.pause()
        now = clock.now()
        while pending and pending[-1]["arrival"] <= now:
            request = pending.pop()
            hints = _hints(request, oracle)
            params = SamplingParams(temperature=0, max_tokens=run.cap, extra_args=hints or None)
            prompt = {"prompt_token_ids": request["prompt_ids"]}
            engine.add_request(request["id"], prompt, params, priority=request["priority"])
        if not engine.has_unfinished_requests():
            clock.skip_to(pending[-1]["arrival"])
            continue
        before = clock.now()
        outputs = engine.step()
        now = clock.now()
        busy_s += now - before
        steps.saw(before, now - before)
        for output in outputs:
            lives[output.request_id].saw(now, output.outputs[0].token_ids, output.finished)
            bar.update(output.finished)
    bar.close()
    return list(lives.values()), busy_s


def _hints(request: dict[str, Any], oracle: bool) -> dict[str, Any]:
    """What the client says beside the prompt; true lengths under oracle policies only."""
    hints = {} if request["tenant"] is None else {TENANT_HINT: request["tenant"]}
    if oracle and request["tokens"] is not None:
        hints[ORACLE_HINT] = request["tokens"]
    return hints


def main() -> None:
    """Read a run, execute it, write its result: of a bad run, what is wrong, and exit 2."""
    preload_libraries()
    source, target, log = map(Path, sys.argv[1:4])
    try:
        with engine_log(log) as terminal:
            run = Run(**json.loads(source.read_text()))
            result = execute(run, Clock(turns="--turns" in sys.argv[4:]), terminal)
    except UserError as error:
        target.write_text(json.dumps(str(error)))
        sys.exit(REFUSED)
    target.write_text(json.dumps(result))


if __name__ == "__main__":
    main()
