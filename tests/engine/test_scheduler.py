"""What the scheduler makes of predictions, without an engine around it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lengthwise.core import Bins, Policy, Request, waiting_queue
from lengthwise.core.foresight import Foresight
from lengthwise.core.lengths import Lengths
from lengthwise.core.policy import Source, unpredicted
from lengthwise.core.prediction import MENDED, each_of, point

# vLLM imports what PyTorch calls deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

BINS = Bins.log(20, 512.0).with_overflow()


class ByQuantile(Policy):
    """Shortest 90 % quantile first."""

    name = "by-quantile"
    source: Source = "probe"
    preemptive = True

    def rank(self, request: Request) -> float:
        now = request.prediction
        return unpredicted(request) if now is None else now.quantile(0.9)


class Asking:
    """A vLLM request, as far as predictions need one."""

    def __init__(self, id: str, max_tokens: int) -> None:
        self.request_id, self.max_tokens = id, max_tokens
        self.sampling_params = None


@pytest.fixture
def scheduler() -> Any:
    """The real scheduler's methods on requests that wait: a to d, with 100 tokens at most."""
    from lengthwise.vllm.ignored import Ignored
    from lengthwise.vllm.notes import Notes
    from lengthwise.vllm.probing import Probing
    from lengthwise.vllm.scheduler import Scheduler

    made = Scheduler.__new__(Scheduler)
    made._views = {id: Request(id, 0.0, i, 5) for i, id in enumerate("abcd")}
    made.requests = {id: Asking(id, 100) for id in "abcd"}
    made.waiting = SimpleNamespace(ranked=waiting_queue(ByQuantile(), made._view))
    for request in made.requests.values():
        made.waiting.ranked.push(request)
    made.notes = Notes(made, made._views)
    made._ignored = Ignored()
    made._lessons = None
    seats: Any = SimpleNamespace(foresight=Foresight(SimpleNamespace(), ByQuantile(), []))
    made._probing = Probing(BINS, ByQuantile(), seats, made._views, made.requests)
    return made


def shares(n: int) -> Any:
    return np.random.default_rng(0).dirichlet(np.full(len(BINS), 0.3), n).astype(np.float32)


def test_a_policy_ranks_arrivals_by_their_distributions(scheduler: Any) -> None:
    lengths = Lengths.of(BINS, shares(4), np.full(4, 100.0))
    for id, prediction in zip("abcd", each_of(lengths, "prompt"), strict=True):
        scheduler.predict(id, prediction)
    quantiles = lengths.quantile(0.9)
    found = [request.request_id for request in scheduler.waiting.ranked]
    assert found == ["abcd"[i] for i in np.argsort(quantiles, kind="stable")]
    assert [scheduler._views[id].initial for id in "abcd"] == lengths.mean().tolist()


def test_nothing_is_expected_to_last_beyond_its_max_tokens(scheduler: Any) -> None:
    scheduler.predict("a", point(400.0, "client"))
    scheduler.predict("b", each_of(Lengths.of(BINS, shares(1)), "router")[0])
    scheduler.predict("c", None)
    assert scheduler._views["a"].initial == 100
    assert scheduler._views["b"].prediction.quantile(1.0) <= 100
    assert scheduler._views["c"].prediction is None
    scheduler.predict("gone", point(3.0, "client"))


def test_the_probes_rows_reach_the_requests_with_the_same_means_as_ever(scheduler: Any) -> None:
    from lengthwise.vllm.refining import Predictions

    rows, generated = shares(5), np.array([3, 40, 0, 7, 1])
    scheduler._probing.refine(Predictions(["a", "gone", "b", "c", "d"], generated, rows))
    limit = np.array([100, 0, 100, 100, 100]) - generated
    means = BINS.mean(rows, limit).tolist()
    for row, id in ((0, "a"), (2, "b"), (3, "c"), (4, "d")):
        view, age = scheduler._views[id], int(generated[row])
        view.generated = age
        assert (view.initial, view.remaining) == (means[row] + age, max(means[row], 1.0))
        now = view.prediction
        assert (now.source, now.age, now.mean) == ("probe", age, max(means[row], 1.0))
        whole = Lengths.of(BINS, rows, limit)
        assert now.quantile(0.9) == pytest.approx(whole.quantile(0.9)[row])
        # Later words of the prompt predictor come too late.
        scheduler.predict(id, point(1.0, "prompt"))
        assert view.prediction == now
    batch = scheduler._views["a"].prediction.batch
    assert all(view.prediction.batch is batch for view in scheduler._views.values())


def test_counters_tell_what_no_policy_could_use(scheduler: Any) -> None:
    scheduler.arrivals = SimpleNamespace(stats=lambda: {"scored": 2.0})
    before = scheduler.prediction_stats()
    assert point(0.0, "client") == point(1.0, "client")
    after = scheduler.prediction_stats()
    assert after["clamped"] == before["clamped"] + 1 == MENDED.clamped
    assert (after["refused"], after["scored"]) == (before["refused"], 2.0)
    assert after["ignored_hints"] == 0


def test_a_worker_without_predictions_is_told_of_once(
    scheduler: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lengthwise.vllm import probing
    from lengthwise.vllm.tap import WANTED

    said: list[str] = []
    monkeypatch.setattr(probing, "logger", SimpleNamespace(error=said.append))
    steps = SimpleNamespace(**{WANTED: True}), SimpleNamespace(sampled_token_ids=[[7]])
    for _ in range(40):
        scheduler._probing.take(*steps)
    (line,) = said
    assert "no predictions arrive from the worker" in line
