"""What the dashboard shows, row by row, and its first row."""

from __future__ import annotations

from of_engine import costs, predictions
from of_requests import bound, classes, memory, order
from panels import Panel, number, of, share


def rows() -> list[tuple[str, list[Panel]]]:
    """Each row's title and panels."""
    return [
        ("At a glance", [*_now(), *_of_late()]),
        ("Order", order()),
        ("Bound", bound()),
        ("Memory", memory()),
        ("Predictions and learning", predictions()),
        ("Service classes", classes()),
        ("What it costs", costs()),
    ]


def _now() -> list[Panel]:
    return [
        number(
            "No answer",
            "Engines that do not answer when they are asked for their state.",
            f"count({of('lengthwise_up')} == 0) or vector(0)",
            "none",
            bad=(1,),
        ),
        number(
            "Running",
            "Requests that have a seat.",
            f"sum({of('lengthwise_requests_running')})",
            "none",
        ),
        number(
            "Waiting",
            "Requests that wait for a seat.",
            f"sum({of('lengthwise_requests_waiting')})",
            "none",
        ),
        number(
            "Paused",
            "Requests that lost their seat for a while and keep their KV cache.",
            f"sum({of('lengthwise_requests_paused')})",
            "none",
        ),
    ]


def _of_late() -> list[Panel]:
    return [
        number(
            "Longest wait",
            "For how long the request that came first has waited, on the worst engine.",
            f"max({of('lengthwise_longest_wait_seconds')})",
            "s",
            bad=(60, 300),
        ),
        number(
            "Seats full",
            "Share of the engine steps that began with all seats taken. Order matters only then.",
            share("lengthwise_full_steps_total", "lengthwise_steps_total"),
            "percentunit",
        ),
        number(
            "Pairs right",
            "Share of pairs of requests that predictors order rightly, a mean over engines and "
            "sources. 50 % is chance.",
            f"avg({of('lengthwise_predictor_pairs_right_ratio')} >= 0)",
            "percentunit",
        ),
        number(
            "Targets attained",
            "Share of finished requests that got all that their service class promises.",
            share(
                "lengthwise_class_requests_attained_total",
                "lengthwise_class_requests_finished_total",
            ),
            "percentunit",
        ),
    ]
