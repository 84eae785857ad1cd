"""One vLLM engine in a process of its own: reads orders, a JSON line each, and answers in kind.

The first line says which engine (:class:`Build`), each later one what to serve by which policy
(:class:`Order`). Between two orders the scheduler is replaced, the worker stays: so all policies
of a comparison run on the same weights, memory and graphs.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from statistics import mean, median
from typing import Any

import msgspec

from lengthwise.metrics.counters import COSTS
from lengthwise.results.timings import Timing
from lengthwise.vllm.engine import build_engine, prepare_process
from lengthwise.vllm.hints import PREDICTED_HINT
from lengthwise.vllm.settings import Settings

STOCK = "stock"


@dataclass(frozen=True)
class Build:
    """Which engine.

    Attributes:
        probe: folder of predictors whose probe is hung into the worker; None leaves vLLM's
            worker untouched.
        v2: whether vLLM's second model runner runs it.
    """

    model: str
    engine: dict[str, Any]
    probe: str | None = None
    v2: bool = False


@dataclass(frozen=True)
class Ask:
    """A request. ``at``: the step or second it arrives; ``ends``: the tokens after which the
    model ends its answer, None where it really does; ``expected``: what its client expects."""

    id: str
    prompt_ids: list[int]
    most: int
    at: float = 0.0
    ends: int | None = None
    expected: float | None = None


@dataclass(frozen=True)
class Order:
    """What to serve, by which policy (``POLICY@none``: without predictors) and with how many seats.

    ``by_steps``: arrivals are counted in steps. ``predictions``: those of the probe are noted.
    ``guard``: fail if tap or probe wait for the device.
    """

    policy: str
    requests: list[Ask]
    seats: int
    by_steps: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    predictions: bool = False
    guard: bool = False


@dataclass
class Served:
    """What came of an order; times in seconds from its start.

    Attributes:
        predictions: of the probe: request, its age, expected tokens still to come.
        decode_s: mean time of a step in which every seat decodes and nothing else happens.
        tap_gpu_s: time on the device of tap and probe, median of the steps that had any.
        seen: steps in which tap and probe had something to do, as a share.
    """

    seconds: float = 0.0
    steps: int = 0
    timings: list[Timing] = field(default_factory=list)
    predictions: list[tuple[str, int, float]] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)
    decode_s: float = 0.0
    tap_gpu_s: float = 0.0
    seen: float = 0.0
    engine: dict[str, Any] = field(default_factory=dict)
    error: str | None = None

    @property
    def answers(self) -> dict[str, list[int]]:
        """Token ids by request."""
        return {each.id: each.answer for each in self.timings}


class Engine:
    """The engine, and what this check puts around it."""

    def __init__(self, build: Build) -> None:
        self._probe = build.probe
        arguments = dict(build.engine)
        arguments["scheduler_cls"] = "lengthwise.vllm.StockScheduler"
        if build.probe is not None:
            settings = Settings(policy="trail", probe=build.probe, learn=False)
            arguments["additional_config"] = settings.additional_config()
        self._engine = build_engine(build.model, arguments.pop("max_num_seqs"), **arguments)
        self._core = self._engine.engine_core.engine_core
        self._ends: dict[str, int] = {}
        self._let_answers_end()
        runner = self._core.model_executor.driver_worker.worker.model_runner
        self._tap = getattr(runner.execute_model, "__self__", None)
        self._events: list[tuple[Any, Any]] = []
        self._guarded = False
        if build.probe is not None:
            self._watch_tap()
        config = self._core.vllm_config
        self.facts = {
            "runner": type(runner).__module__.removeprefix("vllm.v1.worker."),
            "ahead": self._core.batch_queue is not None,
            "graphs": str(config.compilation_config.cudagraph_mode).removeprefix("CUDAGraphMode."),
            "blocks": config.cache_config.num_gpu_blocks,
            "tapped": self._tap is not None and type(self._tap).__name__ == "Tap",
        }

    def _let_answers_end(self) -> None:
        """Weights that are no model's never end an answer: this does, unseen by any policy."""
        from vllm.v1.core.sched import scheduler as module
        from vllm.v1.request import RequestStatus

        original = module.check_stop

        def check_stop(request: Any, *args: Any, **kwargs: Any) -> Any:
            ends = self._ends.get(request.request_id)
            if ends is not None and request.num_output_tokens >= ends:
                request.status = RequestStatus.FINISHED_STOPPED
                return True
            return original(request, *args, **kwargs)

        module.check_stop = check_stop

    def _watch_tap(self) -> None:
        """Time the tap on the device; and, where asked, refuse that it waits for the device."""
        import torch

        if not torch.cuda.is_available():
            return
        tap: Any = self._tap
        look, event = tap._look, partial(torch.cuda.Event, enable_timing=True)

        def watched(step: Any, wanted: bool) -> None:
            if not wanted:
                look(step, wanted)
                return
            begin, end = event(), event()
            begin.record()
            if self._guarded:
                torch.cuda.set_sync_debug_mode("error")
            try:
                look(step, wanted)
            finally:
                if self._guarded:
                    torch.cuda.set_sync_debug_mode("default")
            end.record()
            self._events.append((begin, end))

        tap._look = watched

    def serve(self, order: Order) -> Served:
        """All requests of an order, from an empty engine to an empty engine."""
        self._replace_scheduler(order)
        scheduler = self._core.scheduler
        served = Served(engine=self.facts)
        if self._probe is not None and order.policy != STOCK and order.predictions:
            _note_predictions(scheduler, served)
        self._events.clear()
        self._guarded = order.guard
        COSTS.reset()
        self._run(order, served)
        served.costs = COSTS.snapshot()
        if self._events:
            self._events[-1][1].synchronize()
            times = [begin.elapsed_time(end) / 1000 for begin, end in self._events]
            served.tap_gpu_s, served.seen = median(times), len(times) / max(served.steps, 1)
        return served

    def _replace_scheduler(self, order: Order) -> None:
        from lengthwise.vllm import Scheduler, StockScheduler

        old, config = self._core.scheduler, self._core.vllm_config
        config.scheduler_config.max_num_active_seqs = order.seats
        settings = Settings(policy="fcfs", learn=False)
        if order.policy != STOCK:
            name, _, without = order.policy.partition("@")
            probe = None if without == "none" else self._probe
            settings = Settings(policy=name, probe=probe, **{"learn": False, **order.settings})
        config.additional_config = {**config.additional_config, **settings.additional_config()}
        kind = StockScheduler if order.policy == STOCK else Scheduler
        new = kind(
            vllm_config=config,
            kv_cache_config=old.kv_cache_config,
            structured_output_manager=self._core.structured_output_manager,
            include_finished_set=old.finished_req_ids_dict is not None,
            log_stats=self._core.log_stats,
            block_size=old.block_size,
            hash_block_size=old.hash_block_size,
        )
        # The worker has not heard yet who finished last.
        new.finished_req_ids |= old.finished_req_ids
        self._core.scheduler = new
        if order.policy != STOCK:
            # Predictors start on a thread: nobody is timed before they are ready.
            time.sleep(0.5)

    def _run(self, order: Order, served: Served) -> None:
        """Drive vLLM's engine core by itself: in a server the front end has its own process."""
        pending = sorted(order.requests, key=lambda ask: ask.at, reverse=True)
        ready = {ask.id: self._processed(ask) for ask in order.requests}
        timings = {ask.id: Timing(ask.id, ask.at) for ask in order.requests}
        tokens: dict[str, list[int]] = {ask.id: [] for ask in order.requests}
        self._ends = {ask.id: ask.ends for ask in order.requests if ask.ends is not None}
        times: list[float] = []
        client, left = self._engine.engine_core, len(timings)
        decodes = _decodes(self._core.scheduler, order.seats)
        start = now = time.perf_counter()
        while left:
            clock = served.steps if order.by_steps else now - start
            idle = left == len(pending)
            while pending and (pending[-1].at <= clock or (order.by_steps and idle)):
                name = pending.pop().id
                idle = False
                client.add_request(ready[name])
                if order.by_steps:
                    timings[name].arrival = now - start
            if idle:
                now = time.perf_counter()
                continue
            before = now
            outputs = client.get_output().outputs
            now = time.perf_counter()
            served.steps += 1
            if decodes["seats"] and decodes["seats_before"]:
                times.append(now - before)
            decodes["seats_before"] = decodes["seats"]
            for output in outputs:
                name, finished = output.request_id, output.finish_reason is not None
                tokens[name].extend(output.new_token_ids)
                timings[name].saw(now - start, tokens[name], finished)
                left -= finished
        served.seconds = now - start
        while self._core.batch_queue:
            client.get_output()  # A step that was launched before the last answer was known.
        served.timings = list(timings.values())
        if times:
            # The mean, for one step in four may be dearer; less the slowest, as Python's collector.
            usual = sorted(times)[: max(int(0.98 * len(times)), 1)]
            served.decode_s = mean(usual)

    def _processed(self, ask: Ask) -> Any:
        """A request as vLLM's front end hands it to the engine core."""
        from vllm import SamplingParams

        params = SamplingParams(
            temperature=0,
            max_tokens=ask.most,
            extra_args=None if ask.expected is None else {PREDICTED_HINT: {"tokens": ask.expected}},
        )
        return self._engine.input_processor.process_inputs(
            ask.id,
            {"prompt_token_ids": ask.prompt_ids},
            params,
            supported_tasks=self._engine.get_supported_tasks(),
        )


def _decodes(scheduler: Any, seats: int) -> Counter[str]:
    """Whether the latest step scheduled one token for each seat and nothing else.

    :class:`lengthwise.vllm.steps.Compositions` says more, but looks at every request in every step.
    """
    seen: Counter[str] = Counter()
    schedule = scheduler.schedule

    def noting(*args: Any, **kwargs: Any) -> Any:
        output = schedule(*args, **kwargs)
        tokens = output.num_scheduled_tokens
        seen["seats"] = len(tokens) == seats == output.total_num_scheduled_tokens
        return output

    scheduler.schedule = noting
    return seen


def _note_predictions(scheduler: Any, served: Served) -> None:
    probing = scheduler._probing
    refine = probing.refine

    def noting(predictions: Any) -> None:
        left = predictions.probabilities @ probing.bins.values
        rows = zip(predictions.ids, predictions.generated.tolist(), left.tolist(), strict=True)
        served.predictions.extend(rows)
        refine(predictions)

    probing.refine = noting


def main() -> None:
    """Serve orders until the input ends."""
    channel = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # What vLLM prints belongs to the log.
    orders = sys.stdin.buffer
    build = msgspec.json.decode(orders.readline(), type=Build)
    os.environ["VLLM_USE_V2_MODEL_RUNNER"] = str(int(build.v2))
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "INFO")
    prepare_process()
    from lengthwise.vllm.plugin import register

    register()
    engine: Engine | None = None

    def answer(served: Served) -> None:
        channel.write(msgspec.json.encode(served) + b"\n")
        channel.flush()

    try:
        engine = Engine(build)
        answer(Served(engine=engine.facts))
        for line in orders:
            answer(engine.serve(msgspec.json.decode(line, type=Order)))
    except BaseException as error:
        answer(Served(error=f"{type(error).__name__}: {error}"[:2000]))
        raise


if __name__ == "__main__":
    main()
