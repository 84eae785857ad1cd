"""Predictions of new requests by a predictor that is changed while it serves."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lengthwise.online.client import logger
from lengthwise.online.scorer import Scorer
from lengthwise.predictors.base import PromptPredictor
from lengthwise.predictors.store import Packed
from lengthwise.vllm.arrivals import ArrivalPredictor, Ready, ThreadPredictor
from lengthwise.vllm.hints import Hints


class SwitchingPredictor(ArrivalPredictor):
    """The given predictor, or a learned one in its place.

    Args:
        given: what predicts while no learned one does.

    Attributes:
        version: of the learned predictor; 0 while the given one predicts.
    """

    def __init__(self, given: ArrivalPredictor) -> None:
        self.version = 0
        self._given = given
        # The first predicts what arrives; the others still have requests to predict.
        self._in_use: list[tuple[ArrivalPredictor, int]] = [(given, 0)]
        self._predicted: dict[str, tuple[float, int]] = {}
        self._made: deque[tuple[ArrivalPredictor, int]] = deque()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lengthwise-version")

    def use(self, version: int, packed: Packed | None) -> None:
        """Predict by a learned version soon, or (None) by the given predictor.

        The version is made on a thread, for that may take longer than a step.
        """
        self._pool.submit(self._make, version, packed)

    def submit(self, request: Any, hints: Hints) -> bool:
        """By whatever predicts now."""
        return self._in_use[0][0].submit(request, hints)

    def ready(self) -> Ready:
        """What was predicted since the last call, by one or the other."""
        while self._made:
            self._switch(*self._made.popleft())
        found: Ready = []
        for predictor, version in self._in_use:
            for request_id, prediction in predictor.ready():
                found.append((request_id, prediction))
                if prediction is not None:
                    self._predicted[request_id] = prediction.tokens, version
        return found

    def predicted(self, request_id: str) -> tuple[float | None, int]:
        """Tokens that were predicted of a request, and by which version.

        Without a prediction that is the version which would predict it now.
        """
        return self._predicted.get(request_id, (None, self.version))

    def finished(self, request: Any) -> None:
        """A request is gone."""
        self._predicted.pop(request.request_id, None)
        for predictor, _ in self._in_use:
            predictor.finished(request)

    def stats(self) -> dict[str, float]:
        """Those of the given predictor."""
        return self._given.stats()

    def close(self) -> None:
        """No more requests will come."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for predictor in {self._given, *(each for each, _ in self._in_use)}:
            predictor.close()

    def _make(self, version: int, packed: Packed | None) -> None:
        if packed is None:
            self._made.append((self._given, 0))
            return
        try:
            predictor = packed.predictor()
            assert isinstance(predictor, PromptPredictor)
            self._made.append((ThreadPredictor(Scorer(predictor)), version))
        except Exception as error:
            logger.warning("lengthwise: prompt version %d cannot be used (%s)", version, error)

    def _switch(self, predictor: ArrivalPredictor, version: int) -> None:
        self.version = version
        others = [each for each in self._in_use if each[0] is not predictor]
        # What was there before has had its time to predict what it was asked.
        for old, _ in others[1:]:
            if old is not self._given:
                old.close()
        self._in_use = [(predictor, version), *others[:1]]
