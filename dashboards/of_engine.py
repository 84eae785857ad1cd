"""Rows of the dashboard about the engine's own: predictors, learning, what its steps cost."""

from __future__ import annotations

from panels import ENGINE, Line, Panel, course, of, rate, states

LEARNING = ("off", "gathering", "acting", "stopped")
"""States of learning, in the order of their numbers."""

_PER_ENGINE = "sum by (instance, engine) "


def predictions() -> list[Panel]:
    """Whether predictors are right, and what is learned."""
    state = "lengthwise_learner_state"
    numbered = " + ".join(
        f"""{n} * {_PER_ENGINE}({of(state, f'state="{name}"')})"""
        for n, name in enumerate(LEARNING)
        if n
    )
    return [
        course(
            "Pairs right",
            "Share of pairs of requests that a predictor orders rightly, over the last that "
            "finished. 50 % is chance.",
            [
                Line(
                    f"avg by (source) ({of('lengthwise_predictor_pairs_right_ratio')} >= 0)",
                    "{{source}}",
                )
            ],
            "percentunit",
            most=1,
        ),
        course(
            "Error",
            "Mean absolute error of predicted answers in tokens, over the last that finished.",
            [
                Line(
                    f"avg by (source) ({of('lengthwise_predictor_error_tokens')} >= 0)",
                    "{{source}}",
                )
            ],
            "none",
        ),
        course(
            "Ranked by, or fell back",
            "Requests per second that were ranked by a predictor's word, and that had none of it.",
            [
                Line(f"sum by (source) ({rate('lengthwise_predictor_used_total')})", "{{source}}"),
                Line(
                    f"sum by (source) ({rate('lengthwise_predictor_missing_total')})",
                    "no {{source}}",
                ),
            ],
            "reqps",
        ),
        states(
            "Learning",
            "Whether an engine learns: off, gathering before a version acts, acting, or stopped.",
            Line(numbered, ENGINE),
            LEARNING,
        ),
        course(
            "Versions that act",
            "The learned version of each predictor; 0 for none.",
            [
                Line(
                    f"max by (predictor, instance, engine) ({of('lengthwise_learner_version')})",
                    "{{predictor}} " + ENGINE,
                )
            ],
            "none",
        ),
        course(
            "Learned from, and hints not read",
            "Finished requests per second that the learner was told of, and hints of clients that "
            "were outside their limits.",
            [
                Line(f"sum({rate('lengthwise_learner_told_total')})", "told"),
                Line(f"sum({rate('lengthwise_ignored_hints_total')})", "hints not read"),
            ],
            "cps",
        ),
    ]


def costs() -> list[Panel]:
    """Seconds of scheduling and predicting, and steps and requests per second."""
    spent = ("scheduler", "ranking", "tap", "prompt")
    steps = f"({_PER_ENGINE}({rate('lengthwise_steps_total')}) > 0)"
    return [
        course(
            "Share of the engine's time",
            "Scheduling with outputs as a whole; of it what lengthwise added (ranking); hidden "
            "states and probe (tap); predictions from prompts (prompt).",
            [Line(f"avg({rate(f'lengthwise_{name}_seconds_total')})", name) for name in spent],
            "percentunit",
        ),
        course(
            "Seconds a step",
            "Of scheduling as a whole, and of what lengthwise added.",
            [
                Line(
                    f"{_PER_ENGINE}({rate(f'lengthwise_{name}_seconds_total')}) / {steps}",
                    f"{name} {ENGINE}",
                )
                for name in spent[:2]
            ],
            "s",
        ),
        course(
            "Requests",
            "Requests per second that came, were admitted, were answered, or ended without it.",
            [
                Line(f"sum({rate(f'lengthwise_requests_{name}_total')})", name)
                for name in ("arrived", "admitted", "finished", "aborted")
            ],
            "reqps",
        ),
    ]
