"""Stock vLLM scheduling with a stopwatch: the baseline of every comparison."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler as PlainScheduler

from lengthwise.metrics.counters import COSTS

TRACE = "LENGTHWISE_TRACE"
"""Environment variable: a file that gets every step's decisions as a JSON line.

Of several engines the first writes to it, the others to the same name with ``-1``, ``-2``..."""


class StockScheduler(AsyncScheduler):  # type: ignore[misc]
    """vLLM's own decisions, untouched; counts time, preemptions and recomputed tokens.

    vLLM has two schedulers: the asynchronous one schedules a request again before its last
    output is here, the plain one waits for it. This class is the first, and does what the
    second does where vLLM would take that: in a pipeline under the V1 runner, for one, a
    worker must know a token before it can go on from it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        ahead = self.scheduler_config.async_scheduling
        self._stock: Any = AsyncScheduler if ahead else PlainScheduler
        self._computed_before: dict[str, int] = {}
        # The preempted requests that the latest step takes up again.
        self._resumed: set[str] = set()
        path, rank = os.environ.get(TRACE), self.parallel_config.data_parallel_index
        path = f"{path}-{rank}" if path and rank else path
        self._trace = Path(path).open("a", buffering=1) if path else None  # noqa: SIM115

    def schedule(self, *args: Any, **kwargs: Any) -> Any:
        """One step's decisions."""
        start = time.perf_counter()
        output = super().schedule(*args, **kwargs)
        COSTS.schedule_s += time.perf_counter() - start
        if output.total_num_scheduled_tokens:
            COSTS.steps += 1
        self._resumed.clear()
        if self._computed_before:
            self._count_recomputed(output)
        if self._trace is not None and output.total_num_scheduled_tokens:
            self._trace.write(json.dumps(self._decisions(output)) + "\n")
        return output

    def _update_after_schedule(self, *args: Any, **kwargs: Any) -> None:
        self._stock._update_after_schedule(self, *args, **kwargs)

    def _update_request_with_output(self, *args: Any, **kwargs: Any) -> Any:
        return self._stock._update_request_with_output(self, *args, **kwargs)

    def prediction_stats(self) -> dict[str, float]:
        """Counters of predictions: stock makes none."""
        return {}

    def _decisions(self, output: Any) -> dict[str, Any]:
        return {
            "step": COSTS.steps,
            "scheduled": output.num_scheduled_tokens,
            "preempted": sorted(output.preempted_req_ids or ()),
            "waiting": len(self.waiting),
        }

    def _preempt_request(self, request: Any, *args: Any, **kwargs: Any) -> None:
        COSTS.evictions += 1
        self._computed_before[request.request_id] = request.num_computed_tokens
        super()._preempt_request(request, *args, **kwargs)

    def _free_request(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self._computed_before.pop(request.request_id, None)
        return super()._free_request(request, *args, **kwargs)

    def _count_recomputed(self, output: Any) -> None:
        """Count what the preempted that come back have lost.

        To the V1 runner they are cached requests that resume; to V2 they are new ones.
        """
        cached = output.scheduled_cached_reqs
        here = [(new.req_id, new.num_computed_tokens) for new in output.scheduled_new_reqs]
        here += zip(cached.req_ids, cached.num_computed_tokens, strict=True)
        for request_id, computed in here:
            before = self._computed_before.pop(request_id, None)
            if before is not None:
                self._resumed.add(request_id)
                COSTS.recomputed_tokens += max(before - computed, 0)
