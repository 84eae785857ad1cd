"""Prometheus families of the engine's own: predictors, learning, what its steps cost."""

from __future__ import annotations

from collections.abc import Callable

from lengthwise.live.state import EngineNow, PredictorNow
from lengthwise.metrics.family import Family, Values, counter, each, gauge, single, total

STATES = ("off", "gathering", "acting", "stopped")
"""Of learning (:class:`lengthwise.live.state.LearnerNow`)."""


def _predictor(read: Callable[[PredictorNow], float | None]) -> Callable[[EngineNow], Values]:
    return lambda now: {(one.source,): read(one) for one in now.predictors}


PREDICTIONS: tuple[Family, ...] = (
    gauge(
        "lengthwise_predictor_error_tokens",
        "Mean absolute error of predicted answers, over the last requests that finished.",
        _predictor(lambda one: one.error),
        "source",
    ),
    gauge(
        "lengthwise_predictor_pairs_right_ratio",
        "Share of pairs of requests that the predictor orders rightly; 0.5 is chance.",
        _predictor(lambda one: one.pairs_right),
        "source",
    ),
    gauge(
        "lengthwise_predictor_judged_requests",
        "Finished requests on which error and pairs rest.",
        _predictor(lambda one: one.judged),
        "source",
    ),
    counter(
        "lengthwise_predictor_used_total",
        "Requests that were ranked by this predictor.",
        _predictor(lambda one: one.used),
        "source",
    ),
    counter(
        "lengthwise_predictor_missing_total",
        "Requests of which this predictor gave no prediction, so that they fell back on less.",
        _predictor(lambda one: one.missing),
        "source",
    ),
    counter(
        "lengthwise_ignored_hints_total",
        "Hints of clients that were outside their limits and not read.",
        total(lambda totals: totals.ignored_hints),
    ),
    gauge(
        "lengthwise_learner_state",
        "The state of learning: 1 for the one that it is in, 0 for the others.",
        lambda now: each(STATES, {now.learner.state: 1}),
        "state",
    ),
    gauge(
        "lengthwise_learner_version",
        "The learned version that acts; 0 for none.",
        lambda now: {
            ("prompt",): now.learner.prompt_version,
            ("probe",): now.learner.probe_version,
        },
        "predictor",
    ),
    counter(
        "lengthwise_learner_told_total",
        "Finished requests that the learner was told of.",
        single(lambda now: now.learner.told),
    ),
    counter(
        "lengthwise_learner_starts_total",
        "Times that the process that learns was started.",
        single(lambda now: now.learner.starts),
    ),
)

COST: tuple[Family, ...] = (
    counter("lengthwise_steps_total", "Engine steps.", total(lambda totals: totals.steps)),
    counter(
        "lengthwise_full_steps_total",
        "Engine steps that began with all seats taken.",
        total(lambda totals: totals.full_steps),
    ),
    counter(
        "lengthwise_scheduler_seconds_total",
        "Seconds in which vLLM and lengthwise scheduled steps and handled their outputs.",
        total(lambda totals: totals.scheduler_s),
    ),
    counter(
        "lengthwise_ranking_seconds_total",
        "Seconds of these that lengthwise added.",
        total(lambda totals: totals.ranking_s),
    ),
    counter(
        "lengthwise_tap_seconds_total",
        "Seconds in the worker for reading hidden states and for the probe.",
        total(lambda totals: totals.tap_s),
    ),
    counter(
        "lengthwise_prompt_seconds_total",
        "Seconds of the engine's process for predictions from prompts.",
        total(lambda totals: totals.prompt_s),
    ),
)
