"""Predictions for requests that just arrived, made off the engine's loop."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar

from lengthwise.core.policy import Source
from lengthwise.core.prediction import Prediction, point
from lengthwise.core.query import Query
from lengthwise.core.text import visible
from lengthwise.errors import UserError
from lengthwise.metrics.counters import COSTS
from lengthwise.online.client import FAILED, WAITING, Client, logger
from lengthwise.online.messages import Serve
from lengthwise.online.priors import Priors
from lengthwise.online.scorer import Scorer
from lengthwise.policies import make_policy
from lengthwise.vllm.hints import Hints
from lengthwise.vllm.piece import max_tokens
from lengthwise.vllm.settings import Settings, in_process

_MOST_BROUGHT = 16384
"""Most requests in the system whose hints are remembered."""

Ready = list[tuple[str, Prediction | None]]
"""Ids of requests and what was predicted of them; None if nothing will be."""


class ArrivalPredictor:
    """Scores arrivals; the scheduler asks what is ready before each step. This one never."""

    def submit(self, request: Any, hints: Hints) -> bool:
        """A vLLM request arrived; whether :meth:`ready` will give a prediction of it."""
        return False

    def ready(self) -> Ready:
        """What was predicted since the last call."""
        return []

    def finished(self, request: Any) -> None:
        """A vLLM request is gone, whatever the reason."""

    def stats(self) -> dict[str, float]:
        """Counters, if it has any."""
        return {}

    def close(self) -> None:
        """No more requests will come."""


class NoPredictor(ArrivalPredictor):
    """For policies that use none, and where none was trained."""


class OraclePredictor(ArrivalPredictor):
    """True lengths, as a benchmark measured them in an earlier run of the same prompts.

    Attributes:
        allowed: set by a bench, in its own process. No setting of a server can: its clients
            would rank their own requests.
    """

    allowed: ClassVar[bool] = False

    def __init__(self) -> None:
        self._ready: Ready = []

    def submit(self, request: Any, hints: Hints) -> bool:
        """Reads the hint; a request without it stays unpredicted."""
        if hints.truth is not None:
            self._ready.append((request.request_id, point(hints.truth, "oracle")))
        return hints.truth is not None

    def ready(self) -> Ready:
        """All submitted since the last call."""
        ready, self._ready = self._ready, []
        return ready


class ThreadPredictor(ArrivalPredictor):
    """The trained prompt predictor on a thread of its own; a failure leaves FCFS order.

    For cheap ones: while it computes in Python, the engine's loop does not.
    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer, self._failed = scorer, False
        self._wanted: dict[str, Query] = {}
        self._done: deque[tuple[str, Prediction | None]] = deque()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lengthwise-prompt")
        self._pool.submit(scorer.warm_up)

    def submit(self, request: Any, hints: Hints) -> bool:
        """Queue the request's prompt for scoring, if there is room."""
        if not request.prompt_token_ids or len(self._wanted) >= WAITING:
            return False
        self._wanted[request.request_id] = asked_of(request, hints)
        self._pool.submit(self._score, request.request_id)
        return True

    def ready(self) -> Ready:
        """What the thread has finished."""
        return [self._done.popleft() for _ in range(len(self._done))]

    def finished(self, request: Any) -> None:
        """It need not be scored any more."""
        self._wanted.pop(request.request_id, None)

    def close(self) -> None:
        """What is still queued is not scored."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _score(self, request_id: str) -> None:
        asked = self._wanted.pop(request_id, None)
        if asked is None:
            return
        with COSTS.timed("prompt_s"):
            prediction = self._scorer.predictions([asked])[0]
        self._done.append((request_id, prediction))
        if prediction is None and not self._failed:
            self._failed = True
            logger.warning(FAILED, visible(self._scorer.error))


class ProcessPredictor(ArrivalPredictor):
    """The trained prompt predictor in a process of its own."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def submit(self, request: Any, hints: Hints) -> bool:
        """Send the request's prompt for scoring, if there is room."""
        if not request.prompt_token_ids:
            return False
        with COSTS.timed("prompt_s"):
            return self._client.submit(asked_of(request, hints))

    def ready(self) -> Ready:
        """What the process has finished."""
        before = self._client.seconds
        found = self._client.ready()
        COSTS.service_s += self._client.seconds - before
        return found

    def finished(self, request: Any) -> None:
        """Its prediction is not needed any more."""
        with COSTS.timed("prompt_s"):
            self._client.forget(request.request_id)

    def stats(self) -> dict[str, float]:
        """Counters of scoring."""
        return self._client.stats()

    def close(self) -> None:
        """End the process."""
        self._client.close()


@dataclass(slots=True)
class _Brought:
    """A request that brought a prediction: from where, what it said, ours, and whether it acts."""

    source: str
    said: Prediction
    ours: Prediction | None = None
    used: bool = False


class HandedOnPredictor(ArrivalPredictor):
    """Weighs what requests bring along against the prediction of another, which is asked too.

    A request waits for no prediction that it would not wait for without a hint.

    Attributes:
        priors: what the hints of each source have been worth.
    """

    def __init__(self, otherwise: ArrivalPredictor) -> None:
        self._otherwise = otherwise
        self.priors = Priors()
        self._brought: dict[str, _Brought] = {}
        self._ready: Ready = []
        self._used = self._unused = 0

    def submit(self, request: Any, hints: Hints) -> bool:
        """Reads the hint, which may act at once, and asks the other one."""
        coming = self._otherwise.submit(request, hints)
        if hints.predicted is None:
            return coming
        brought = _Brought(hints.tenant or "", hints.predicted)
        self._brought[request.request_id] = brought
        if len(self._brought) > _MOST_BROUGHT:
            # Its next slice went elsewhere, and so it never finishes here.
            del self._brought[next(iter(self._brought))]
        prediction = self._weigh(brought)
        if prediction is None:
            return coming
        self._ready.append((request.request_id, prediction))
        return True

    def ready(self) -> Ready:
        """What was brought along, and what the other one has finished."""
        found, self._ready = self._ready, []
        for id, ours in self._otherwise.ready():
            brought = self._brought.get(id)
            if brought is None:
                found.append((id, ours))
                continue
            brought.ours = ours
            found.append((id, self._weigh(brought)))
        return found

    def finished(self, request: Any) -> None:
        """The other one may learn from it, and so do the priors."""
        brought = self._brought.pop(request.request_id, None)
        if brought is not None:
            self._used += brought.used
            self._unused += not brought.used
            tokens = request.num_output_tokens
            cut = str(request.get_finished_reason()) != "stop"
            self.priors.finished(brought.source, brought.said, brought.ours, tokens, cut)
        self._otherwise.finished(request)

    def stats(self) -> dict[str, float]:
        """The other one's counters, and requests whose hints were used and were not."""
        used = {"used_hints": self._used, "unused_hints": self._unused}
        return self._otherwise.stats() | used | {"hint_sources": len(self.priors)}

    def close(self) -> None:
        """The other one ends."""
        self._otherwise.close()

    def _weigh(self, brought: _Brought) -> Prediction | None:
        found = self.priors.prediction(brought.source, brought.said, brought.ours)
        brought.used = found is not None and found is not brought.ours
        return found


def asked_of(request: Any, hints: Hints) -> Query:
    """A vLLM request as predictors see it; the application is what the client calls it."""
    prompt_ids = list(request.prompt_token_ids)
    return Query(request.request_id, prompt_ids, "", max_tokens(request), hints.template)


def check_policy(settings: Settings) -> None:
    """Refuse an unknown policy, and outside a bench the oracle.

    Raises:
        UserError: one line.
    """
    if make_policy(settings.policy).source == "oracle" and not OraclePredictor.allowed:
        raise UserError("the oracle policy needs true lengths: it runs in lengthwise bench only")


def make_arrival_predictor(source: Source, settings: Settings, model: str) -> ArrivalPredictor:
    """The predictor of new arrivals that a policy with this source needs.

    Raises:
        UserError: if the settings contradict each other, or it cannot be loaded.
    """
    check_policy(settings)
    if source == "oracle":
        return OraclePredictor()
    if source == "none":
        return NoPredictor()
    return HandedOnPredictor(own_predictor(settings, model))


def own_predictor(settings: Settings, model: str) -> ArrivalPredictor:
    """The given prompt predictor, on a thread or in a process, as the settings have it.

    Raises:
        UserError: as :func:`make_arrival_predictor`.
    """
    if settings.probe is None:
        return NoPredictor()
    # Loaded here in any case: what is wrong with it is said before serving begins.
    scorer = Scorer.load(settings.probe, model)
    if not in_process(settings, scorer):
        return ThreadPredictor(scorer)
    return ProcessPredictor(Client.of(Serve(model, settings.probe), settings.scoring_timeout))
