"""What the dashboard shows, row by row."""

from __future__ import annotations

from panels import Line, Panel, course, number, of, rate, share, states

_ENGINE = "{{instance}} {{engine}}"

_LEARNING = ("off", "gathering", "acting", "stopped")

_PER_ENGINE = "sum by (instance, engine) "


def rows() -> list[tuple[str, list[Panel]]]:
    """Each row's title and panels."""
    return [
        ("At a glance", _glance()),
        ("Order", _order()),
        ("Bound", _bound()),
        ("Memory", _memory()),
        ("Predictions and learning", _predictions()),
        ("Service classes", _classes()),
        ("What it costs", _costs()),
    ]


def _glance() -> list[Panel]:
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


def _order() -> list[Panel]:
    events = ("overtakings", "promotions", "pauses", "resumes")
    return [
        course(
            "Waiting, by expected tokens",
            "Requests that wait for a seat, by the tokens that their answer is expected to have.",
            [
                Line(
                    f"sum by (expected_tokens) ({of('lengthwise_requests_waiting')})",
                    "{{expected_tokens}}",
                )
            ],
            "none",
            stacked=True,
        ),
        course(
            "Seats",
            "Requests with a seat, the paused, and how many seats there are.",
            [
                Line(f"sum({of('lengthwise_requests_running')})", "running"),
                Line(f"sum({of('lengthwise_requests_paused')})", "paused"),
                Line(f"sum({of('lengthwise_seats')})", "seats"),
            ],
            "none",
        ),
        course(
            "Overtaking and pausing",
            "Pairs of requests of which the later one was admitted first, and how often requests "
            "starved and went first, were paused, and resumed, all per second.",
            [Line(f"sum({rate(f'lengthwise_{name}_total')})", name) for name in events],
            "cps",
        ),
    ]


def _bound() -> list[Panel]:
    tolerance = of("lengthwise_bound_tolerance_ratio")
    longest = of("lengthwise_bound_longest_backlog_tokens")
    allowed = f"(1.0625 + {tolerance}) * {longest} / (1 - {tolerance})"
    return [
        course(
            "Longest wait, and what the bound allows",
            "The bound is in tokens of work; here it is divided by the work that was admitted "
            "per second. It leaves out the requests' own work, and steps that differ in speed.",
            [
                Line(of("lengthwise_longest_wait_seconds"), f"waits {_ENGINE}"),
                Line(
                    f"{allowed} / ({rate('lengthwise_bound_admitted_tokens_total')} > 0)",
                    f"allowed {_ENGINE}",
                ),
            ],
            "s",
        ),
        course(
            "Backlog",
            "Work that waits, and the longest backlog of late, in tokens.",
            [
                Line(of("lengthwise_bound_backlog_tokens"), f"now {_ENGINE}"),
                Line(longest, f"longest {_ENGINE}"),
            ],
            "none",
        ),
        course(
            "May still go first",
            "Work that may be admitted from behind the gate, in tokens; the tolerance earns it.",
            [Line(of("lengthwise_bound_spare_tokens"), _ENGINE)],
            "none",
        ),
    ]


def _memory() -> list[Panel]:
    used, held = of("lengthwise_kv_cache_used_tokens"), of("lengthwise_kv_cache_tokens")
    return [
        course(
            "KV cache in use",
            "Share of the tokens that the KV cache holds.",
            [Line(f"{used} / {held}", _ENGINE)],
            "percentunit",
            most=1,
        ),
        course(
            "Evictions",
            "Requests per second that lost their KV cache: for memory, for a seat, or because "
            "the prefix cache was reset.",
            [Line(f"sum by (reason) ({rate('lengthwise_evictions_total')})", "{{reason}}")],
            "cps",
            stacked=True,
        ),
        course(
            "Recomputed",
            "Tokens per second that were computed again because of that.",
            [Line(f"sum({rate('lengthwise_recomputed_tokens_total')})", "tokens")],
            "none",
        ),
    ]


def _predictions() -> list[Panel]:
    state = "lengthwise_learner_state"
    numbered = " + ".join(
        f"""{n} * {_PER_ENGINE}({of(state, f'state="{name}"')})"""
        for n, name in enumerate(_LEARNING)
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
            Line(numbered, _ENGINE),
            _LEARNING,
        ),
        course(
            "Versions that act",
            "The learned version of each predictor; 0 for none.",
            [
                Line(
                    f"max by (predictor, instance, engine) ({of('lengthwise_learner_version')})",
                    "{{predictor}} " + _ENGINE,
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


def _classes() -> list[Panel]:
    of_class = "sum by (service_class) "
    return [
        course(
            "Attained, by class",
            "Share of a service class's finished requests that got all that it promises.",
            [
                Line(
                    share(
                        "lengthwise_class_requests_attained_total",
                        "lengthwise_class_requests_finished_total",
                        by="service_class",
                    ),
                    "{{service_class}}",
                )
            ],
            "percentunit",
            most=1,
        ),
        course(
            "Targets missed",
            "Targets per second that finished requests missed.",
            [
                Line(
                    "sum by (service_class, target) "
                    f"({rate('lengthwise_class_targets_missed_total')})",
                    "{{service_class}} {{target}}",
                )
            ],
            "cps",
        ),
        course(
            "Waiting and running, by class",
            "Requests of a service class; the paused wait.",
            [
                Line(
                    f"{of_class}({of('lengthwise_class_requests_waiting')})",
                    "{{service_class}} waiting",
                ),
                Line(
                    f"{of_class}({of('lengthwise_class_requests_running')})",
                    "{{service_class}} running",
                ),
            ],
            "none",
        ),
    ]


def _costs() -> list[Panel]:
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
                    f"{name} {_ENGINE}",
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
