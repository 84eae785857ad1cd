"""The scheduler's side of learning: what finished goes out, what acts from now on comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lengthwise.core.query import Query
from lengthwise.core.request import Request
from lengthwise.live.state import LearnerNow
from lengthwise.online.messages import Finished, Steps
from lengthwise.online.options import Learning
from lengthwise.online.tutor import Pupil, Tutor
from lengthwise.sim.setup import Setup
from lengthwise.vllm.gathered import Gathered
from lengthwise.vllm.pace import Pace
from lengthwise.vllm.piece import max_tokens
from lengthwise.vllm.probing import Probing
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.switching import SwitchingPredictor

if TYPE_CHECKING:
    from lengthwise.vllm.seats import VllmEngine

_ENDED, _CUT, _GIVEN_UP = "stop", "length", "abort"
"""vLLM's reasons why a request is gone, of those that tell something of its length."""


class Lessons:
    """Tells a tutor what finished, and puts to use what it says.

    Args:
        scheduler: vLLM's.
        tutor: the engine's side of the learning process.
        arrivals: predicts new requests.
        probing: asks the probe.
    """

    def __init__(
        self, scheduler: Any, tutor: Tutor, arrivals: SwitchingPredictor, probing: Probing
    ) -> None:
        self._tutor, self._arrivals, self._probing = tutor, arrivals, probing
        self._gathered = Gathered(scheduler.requests)
        self._pace = Pace(scheduler, lambda: scheduler.clock())

    def begins(self) -> None:
        """A step is about to be scheduled: what acts from it on?"""
        self._pace.begins()
        for acts in self._tutor.news():
            if acts.role == "prompt":
                self._arrivals.use(acts.version, acts.predictor)
            else:
                self._probing.use(acts.version, acts.predictor)

    def scheduled(self, output: Any) -> None:
        """A step was scheduled."""
        self._pace.scheduled(output)

    def idles(self) -> None:
        """Nothing is left to do."""
        self._pace.idles()

    def took(self, model_runner_output: Any) -> None:
        """A step's tokens are there, and not handed out yet."""
        self._gathered.take(model_runner_output)
        rows = self._pace.take()
        if rows:
            self._tutor.steps(Steps(rows))

    def gone(self, request: Any, view: Request) -> None:
        """A request is gone, whatever the reason; asked before its prediction is forgotten."""
        states = self._gathered.finished(request.request_id)
        reason, tokens = str(request.get_finished_reason()), int(request.num_output_tokens)
        if not tokens or not request.prompt_token_ids or reason not in (_ENDED, _CUT, _GIVEN_UP):
            return
        # Where a stop string was found, vLLM's front end gives the request up.
        found = reason == _ENDED or (reason == _GIVEN_UP and bool(request.sampling_params.stop))
        predicted, version = self._arrivals.predicted(request.request_id)
        asked = Query(
            request.request_id, list(request.prompt_token_ids), "", max_tokens(request), ""
        )
        self._tutor.finished(
            Finished(asked, tokens, not found, predicted, view.arrival, version, states)
        )

    def stats(self) -> dict[str, float]:
        """Counters of learning, and the versions that act."""
        counters = self._tutor.counters
        return {
            "told": counters.told,
            "untold": counters.untold,
            "learners": counters.starts,
            "prompt_version": counters.acting["prompt"],
            "probe_version": counters.acting["probe"],
        }

    def now(self) -> LearnerNow:
        """The learner, as operators see it."""
        counters = self._tutor.counters
        prompt, probe = counters.acting["prompt"], counters.acting["probe"]
        state: Literal["gathering", "acting", "stopped"] = "gathering"
        if counters.starts and not self._tutor.runs:
            state = "stopped"
        elif prompt or probe:
            state = "acting"
        return LearnerNow(state, counters.told, counters.starts, prompt, probe)

    def close(self) -> None:
        """The end: the learning process ends too."""
        self._tutor.close()


def make_tutor(settings: Settings, config: Any, engine: VllmEngine, budget: int) -> Tutor:
    """The tutor of an engine.

    Args:
        settings: of the plug-in.
        config: vLLM's VllmConfig.
        engine: the scheduler as the seating sees it.
        budget: most tokens in a step.
    """
    block_size = max(int(engine.block_tokens), 1)
    setup = Setup(
        seats=engine.seats,
        budget=max(budget, engine.seats),
        blocks=max(engine.kv_tokens // block_size, 1),
        block_size=block_size,
        reserve=engine.reserve,
    )
    pupil = Pupil(
        config.model_config.model,
        Learning.of(settings.learning),
        settings.policy,
        setup,
        settings.sampling,
        config.parallel_config.data_parallel_index,
    )
    return Tutor(pupil)
