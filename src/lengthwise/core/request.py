"""A request as a policy may see it: everything but its true length."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lengthwise.core.prediction import Distributions, PredictedBy, Prediction, mended

_INFINITE = math.inf


@dataclass(slots=True, eq=False)
class Request:
    """What is known of one request now.

    There is no true output length here and no way to reach one: a policy that
    wants lengths can only read predictions.

    Attributes:
        id: the engine's request id.
        arrival: time of arrival in seconds (any monotonic clock).
        seq: order of arrival, 0, 1, 2, ...; breaks every tie.
        prompt_tokens: length of the prompt in tokens.
        generated: output tokens produced so far (TRAIL's age ``a``).
        started: True once the request has held a seat.
        preemptions: how often it lost its seat.
        tenant: whose request it is, as the client said.
        priority: the client's class; the lower goes first (vLLM's own field).
        service: name of its service class (:mod:`lengthwise.core.service`); empty if there
            are none.
        cached_tokens: prompt tokens that the prefix cache had when it was asked last: at its
            arrival, and for policies that read it in vLLM also at the head of the queue.
        least_tokens, most_tokens: bounds of its output length that its parameters set.
        aborted: True if it ended before its answer did.
        deadline: the client's latest useful finish time in seconds, if any.
        initial: predicted output length in tokens, first known (TRAIL's ``r``).
        probed: True once the prediction comes from the model's hidden states.
        awaited: True while a first prediction is on its way.
        idle_since: engine step or second since which it has had no token, whichever the
            policy's threshold counts; -1 if that is not watched.
        promoted_at: step or second of its latest promotion (see :meth:`promote`).
    """

    id: str
    arrival: float
    seq: int
    prompt_tokens: int
    generated: int = 0
    started: bool = False
    preemptions: int = 0
    tenant: str | None = None
    priority: int = 0
    service: str = ""
    deadline: float | None = None
    cached_tokens: int = 0
    least_tokens: int = 1
    most_tokens: float = _INFINITE
    aborted: bool = False
    initial: float | None = None
    probed: bool = False
    awaited: bool = False
    idle_since: float = -1
    promoted_at: float = -1
    _promoted_until: int = -1
    _remaining: float = math.nan
    _predicted_at: int = 0
    _source: PredictedBy = "prompt"
    _batch: Distributions | None = None
    _row: int = 0

    def receive(self, prediction: Prediction | None) -> None:
        """Take a prediction of this request; None means there is none, and drops an earlier one.

        The probe's are refinements, see :meth:`refine`.
        """
        if prediction is None:
            self.predict(None)
        elif prediction.source == "probe":
            self.refine(prediction.tokens, prediction.age, prediction.batch, prediction.row)
        else:
            self.predict(prediction.tokens + prediction.age, prediction.source)
            self._remaining, self._predicted_at = prediction.tokens, prediction.age
            self._batch, self._row = prediction.batch, prediction.row

    def predict(self, total: float | None, source: PredictedBy = "prompt") -> None:
        """Set the predicted output length in tokens; None or NaN means unknown."""
        if total is not None and not 0.0 < total < _INFINITE:
            total = mended(total)
            total = None if math.isnan(total) else total
        self.awaited = False
        self.initial = total
        self._remaining = math.nan if total is None else total
        self._predicted_at, self._source, self._batch = 0, source, None

    def refine(
        self, remaining: float, at: int, batch: Distributions | None = None, row: int = 0
    ) -> None:
        """Set the probe's remaining tokens as of ``at`` generated tokens, and their distribution.

        The first refinement replaces the prompt-only prediction (TRAIL's ``r`` is
        the probe's first word, not the prompt predictor's). NaN changes nothing.
        """
        if not 0.0 < remaining < _INFINITE:
            remaining = mended(remaining)
            if math.isnan(remaining):
                return
        if not self.probed:
            self.probed = True
            self.initial = remaining + at
            self._source = "probe"
        self._remaining = remaining
        self._predicted_at = at
        self._batch = batch
        self._row = row

    @property
    def prediction(self) -> Prediction | None:
        """What is predicted of it at its present age; None if nothing is.

        Made here, where a policy asks: predictions are renewed with every token, and most
        policies read numbers only.
        """
        if self.initial is None:
            return None
        at = self._predicted_at
        since = max(self.generated - at, 0)
        return Prediction(self._remaining, at, self._source, since, self._batch, self._row)

    @property
    def source(self) -> PredictedBy | None:
        """Who made the prediction; None if there is none."""
        return None if self.initial is None else self._source

    @property
    def predicted(self) -> bool:
        """Whether there is a prediction to rank by."""
        return self.initial is not None

    @property
    def remaining(self) -> float:
        """Predicted tokens still to come (at least 1 if known, else NaN).

        Between predictions it counts down by one for each generated token.
        """
        left = self._remaining - (self.generated - self._predicted_at)
        return left if not left < 1.0 else 1.0

    def promote(self, now: float, tokens: int) -> None:
        """It has starved: until it has so many tokens more it goes first."""
        self.promoted_at = now
        self._promoted_until = self.generated + tokens

    @property
    def promoted_for(self) -> int:
        """Tokens for which it still goes first, for having starved."""
        return max(self._promoted_until - self.generated, 0)

    @property
    def promoted(self) -> bool:
        """Whether it goes first for having starved."""
        return self.generated < self._promoted_until

    @property
    def uncached_tokens(self) -> int:
        """Prompt tokens still to compute, at least 1."""
        return max(self.prompt_tokens - self.cached_tokens, 1)

    def waiting(self, now: float) -> float:
        """Seconds since arrival at time ``now``."""
        return now - self.arrival
