"""The probe as the scheduler sees it: when it is asked, and what its predictions change."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from lengthwise.core.bins import Bins
from lengthwise.core.lengths import Lengths
from lengthwise.core.policy import Policy
from lengthwise.core.prediction import Distributions, expected
from lengthwise.core.request import Request
from lengthwise.core.seats import Seats
from lengthwise.predictors.store import Packed
from lengthwise.vllm.current_probe import NEW_PROBE, NewProbe
from lengthwise.vllm.refining import ATTRIBUTE, Predictions
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.tap import WANTED

logger = logging.getLogger("vllm.lengthwise")

_PATIENCE = 16
"""Steps with sampled tokens but no prediction after which something is wrong."""


def probe_bins(settings: Settings, model: str) -> Bins | None:
    """The bins that the worker's probe predicts; None if no probe is asked.

    Raises:
        UserError: if the probe cannot be loaded, or is another model's.
    """
    if not settings.probing:
        return None
    from lengthwise.predictors.store import load_probe

    assert settings.probe is not None
    return load_probe(settings.probe, model).bins


class Probing:
    """Asks the worker for predictions, and hands them to the policy's views of the requests.

    Args:
        bins: of the probe that was given at the start; None if none was. Nothing is asked while
            there is no probe.
        views, requests: of the scheduler, by request id.
    """

    def __init__(
        self,
        bins: Bins | None,
        policy: Policy,
        seats: Seats[Any],
        views: Mapping[str, Request],
        requests: Mapping[str, Any],
    ) -> None:
        self.bins = bins
        self._policy = policy
        self._seats = seats
        self._views = views
        self._requests = requests
        self._steps_without = 0
        self._seen = False
        self._version = 0
        self._new: NewProbe | None = None

    def use(self, version: int, packed: Packed | None) -> None:
        """From the next step on this version of the probe is asked; None: no probe any more.

        What an earlier version says of steps that are under way is not heard. A request keeps the
        last word that it had, which counts down.
        """
        self._new = NewProbe(version, packed)
        self._version = version
        self.bins = None if packed is None else packed.bins
        self._steps_without = 0

    def ask(self, output: Any) -> None:
        """Let the worker predict only where ranks decide something, and before they are read.

        Requests that are new are predicted at once: TRAIL's r is the probe's first word. A
        policy that never preempts only asks what the running ones will still need, and only
        where memory may be short.
        """
        if self._new is not None:
            setattr(output, NEW_PROBE, self._new)
            self._new = None
        if self.bins is None:
            return
        due = self._seats.looks_next or bool(output.scheduled_new_reqs)
        matters = self._policy.preemptive or self._seats.foresight.short
        setattr(output, WANTED, due and matters and self._seats.contested)

    def take(self, scheduler_output: Any, model_runner_output: Any) -> None:
        """The predictions that came with a step's tokens."""
        predictions = getattr(model_runner_output, ATTRIBUTE, None)
        if predictions is not None:
            self.refine(predictions)
        elif getattr(scheduler_output, WANTED, False) and model_runner_output.sampled_token_ids:
            self._miss()

    def refine(self, predictions: Predictions) -> None:
        """Each request's remaining tokens, as the probe sees them now."""
        if self.bins is None or predictions.version != self._version:
            return
        if not self._seen and predictions.ids:
            self._seen = True
            logger.info("lengthwise: predictions arrive from the worker")
        self._steps_without = 0
        self._seats.foresight.expects_anew()
        views, requests = self._views, self._requests
        # Under asynchronous scheduling a request may have ended before its prediction comes.
        here = [i for i, id in enumerate(predictions.ids) if id in requests and id in views]
        ids = [predictions.ids[i] for i in here]
        generated = predictions.generated[here]
        most = np.array([requests[id].max_tokens for id in ids], dtype=np.int64)
        limits = np.maximum(most - generated, 1)
        lengths = Lengths.of(self.bins, predictions.probabilities[here], limits)
        batch, remaining = Distributions(lengths), expected(lengths)
        for row, (id, left, at) in enumerate(zip(ids, remaining, generated.tolist(), strict=True)):
            views[id].refine(left, at, batch, row)

    def _miss(self) -> None:
        """A step without the predictions it asked for."""
        self._steps_without += 1
        if self._steps_without == _PATIENCE:
            logger.error(
                "no predictions arrive from the worker: is the lengthwise plug-in installed "
                "there and allowed by VLLM_PLUGINS? Ranking by prompt-only predictions."
            )
