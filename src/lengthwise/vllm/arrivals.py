"""Predictions for requests that just arrived, made off the engine's loop."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from lengthwise.core.policy import Source
from lengthwise.predictors.shape import Asked, PromptPredictor
from lengthwise.predictors.text import PromptText
from lengthwise.vllm.costs import COSTS

ORACLE_HINT = "lengthwise_true_tokens"
"""Key in a request's ``extra_args`` that the oracle predictor reads; only it does."""


class ArrivalPredictor(Protocol):
    """Scores arrivals; the scheduler asks what is ready before each step."""

    def submit(self, request: Any) -> None:
        """A vLLM request arrived."""

    def ready(self) -> list[tuple[str, float]]:
        """Request ids and predicted output tokens finished since the last call."""


class NoPredictor:
    """For policies that use none, and where none was trained."""

    def submit(self, request: Any) -> None:
        """Ignored."""

    def ready(self) -> list[tuple[str, float]]:
        """Never anything."""
        return []


class OraclePredictor:
    """True lengths, as a benchmark measured them in an earlier run of the same prompts."""

    def __init__(self) -> None:
        self._ready: list[tuple[str, float]] = []

    def submit(self, request: Any) -> None:
        """Reads the hint; a request without it stays unpredicted."""
        hints = getattr(request.sampling_params, "extra_args", None) or {}
        if ORACLE_HINT in hints:
            self._ready.append((request.request_id, float(hints[ORACLE_HINT])))

    def ready(self) -> list[tuple[str, float]]:
        """All submitted since the last call."""
        ready, self._ready = self._ready, []
        return ready


class PromptScorer:
    """The trained prompt predictor on a thread of its own; a failure leaves FCFS order."""

    def __init__(self, predictor: PromptPredictor, text: PromptText | None) -> None:
        self._predictor, self._text = predictor, text
        self._done: deque[tuple[str, float]] = deque()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lengthwise-prompt")
        # The first call sets up threads and caches; nobody should wait for that.
        self._pool.submit(self._predict, [1, 2], 1)

    def submit(self, request: Any) -> None:
        """Queue the request's prompt for scoring."""
        if request.prompt_token_ids:
            ids, most = list(request.prompt_token_ids), request.max_tokens
            self._pool.submit(self._score, request.request_id, ids, most)

    def ready(self) -> list[tuple[str, float]]:
        """What the thread has finished."""
        ready = []
        while self._done:
            ready.append(self._done.popleft())
        return ready

    def _score(self, request_id: str, prompt_ids: list[int], max_tokens: int) -> None:
        with COSTS.timed("prompt_s"):
            self._done.append((request_id, self._predict(prompt_ids, max_tokens)))

    def _predict(self, prompt_ids: list[int], max_tokens: int) -> float:
        text = "" if self._text is None else self._text(prompt_ids)
        return float(self._predictor.lengths([Asked("", prompt_ids, text, max_tokens)]).mean()[0])


def make_arrival_predictor(source: Source, probe: str | None, model: str) -> ArrivalPredictor:
    """The predictor of new arrivals that a policy with this source needs."""
    if source == "oracle":
        return OraclePredictor()
    if source == "none" or probe is None:
        return NoPredictor()
    from lengthwise.predictors.store import load_prompt_predictor

    predictor = load_prompt_predictor(probe, model)
    text = PromptText.load(model) if predictor.reads == "text" else None
    return PromptScorer(predictor, text)
