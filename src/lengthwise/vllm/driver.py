"""A vLLM engine in this process, driven step by step: the one module that reaches into it.

Benches, ``collect``, ``calibrate`` and replicas drive engines through :class:`Driver`, so that
vLLM's private names stand here and in the scheduler alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lengthwise.metrics.counters import COSTS
from lengthwise.vllm.engine import build_engine
from lengthwise.vllm.steps import Compositions

if TYPE_CHECKING:
    from vllm import RequestOutput, SamplingParams

    from lengthwise.vllm.arrivals import ArrivalPredictor
    from lengthwise.vllm.recorder import Recorder
    from lengthwise.vllm.settings import Settings


class Driver:
    """One engine and what its users ask of it.

    Args:
        model: folder of the model.
        seats: most requests in one step (vLLM's ``max_num_seqs``).
        settings: of the plug-in; None leaves every decision to stock vLLM.
        engine: further arguments of vLLM's engine.

    Raises:
        UserError: if the engine cannot be built as asked.
    """

    def __init__(
        self, model: str | Path, seats: int, settings: Settings | None = None, **engine: Any
    ) -> None:
        scheduling: dict[str, Any] = {"scheduler_cls": "lengthwise.vllm.StockScheduler"}
        if settings is not None:
            scheduling["scheduler_cls"] = "lengthwise.vllm.Scheduler"
            scheduling["additional_config"] = settings.additional_config()
        self._engine = build_engine(model, seats, **scheduling, **engine)
        self._scheduler: Any = self._engine.engine_core.engine_core.scheduler

    def add(
        self,
        request_id: str,
        prompt_ids: list[int],
        params: SamplingParams,
        priority: int = 0,
        cache_salt: str | None = None,
    ) -> str:
        """A request arrives; returns vLLM's internal id of it.

        Raises:
            ValueError: if vLLM refuses it.
        """
        prompt: dict[str, Any] = {"prompt_token_ids": prompt_ids}
        if cache_salt is not None:
            prompt["cache_salt"] = cache_salt
        return str(self._engine.add_request(request_id, prompt, params, priority=priority))

    def abort(self, request_id: str) -> None:
        """The client has left."""
        self._engine.abort_request([request_id])

    def step(self) -> list[RequestOutput]:
        """One step of the engine: what it gave of each request that has new tokens."""
        outputs: list[RequestOutput] = self._engine.step()
        return outputs

    @property
    def busy(self) -> bool:
        """Whether any request has not finished."""
        return bool(self._engine.has_unfinished_requests())

    def tokenizer(self) -> Any:
        """The model's, as vLLM loaded it."""
        return self._engine.get_tokenizer()

    def use_clock(self, now: Callable[[], float]) -> None:
        """Policies count waiting by this clock, in seconds, instead of by the machine's."""
        self._scheduler.clock = now

    def compositions(self) -> Compositions:
        """What each step from now on holds."""
        return Compositions(self._scheduler)

    def prediction_stats(self) -> dict[str, float]:
        """Counters of the predictor of new requests; empty if it has none."""
        found: dict[str, float] = self._scheduler.prediction_stats()
        return found

    def remaining(self, request_id: str) -> float:
        """Tokens that the scheduler's probe predicts a request still needs; NaN before it has.

        vLLM schedules a request under ids of its own, one for each of its n samples. The
        request lasts as long as the longest of those that are predicted.
        """
        internal = self._engine.output_processor.external_req_ids.get(request_id, ())
        known = map(self._scheduler.remaining, internal)
        return max((tokens for tokens in known if not math.isnan(tokens)), default=math.nan)

    def recorder(self) -> Recorder:
        """The worker's recorder of hidden states, which ``Settings.record`` asks for."""
        found: Recorder = self._engine.collective_rpc(lambda worker: worker.lengthwise)[0]
        return found

    def start_clean(self) -> None:
        """Forget what was served so far: cached prefixes and costs."""
        self._engine.reset_prefix_cache()
        COSTS.reset()

    def stopwatch(self, method: str) -> list[float]:
        """Seconds of each call of a scheduler's method from now on, a list that grows."""
        times: list[float] = []
        original = getattr(self._scheduler, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = original(*args, **kwargs)
            times.append(time.perf_counter() - start)
            return result

        setattr(self._scheduler, method, timed)
        return times

    def predict_arrivals_by(self, predictor: ArrivalPredictor) -> None:
        """New requests are predicted by another predictor from now on."""
        self._scheduler.arrivals = predictor

    @property
    def arrivals(self) -> ArrivalPredictor:
        """What predicts new requests."""
        found: ArrivalPredictor = self._scheduler.arrivals
        return found

    def predicted(self) -> list[str]:
        """Ids of the requests whose predictions come from now on, a list that grows."""
        seen: list[str] = []
        predict = type(self._scheduler).predict

        def noting(request_id: str, prediction: Any) -> None:
            seen.append(request_id)
            predict(self._scheduler, request_id, prediction)

        self._scheduler.predict = noting
        return seen
