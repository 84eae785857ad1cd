"""Rows of the dashboard about requests: their order, its bound, their memory and classes."""

from __future__ import annotations

from panels import ENGINE, Line, Panel, course, of, rate, share


def order() -> list[Panel]:
    """Who waits, who has a seat, and who goes before whom."""
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


def bound() -> list[Panel]:
    """How far the policy lets requests overtake each other, and how long they wait."""
    tolerance = of("lengthwise_bound_tolerance_ratio")
    longest = of("lengthwise_bound_longest_backlog_tokens")
    allowed = f"(1.0625 + {tolerance}) * {longest} / (1 - {tolerance})"
    return [
        course(
            "Longest wait, and what the bound allows",
            "The bound is in tokens of work; here it is divided by the work that was admitted "
            "per second. It leaves out the requests' own work, and steps that differ in speed.",
            [
                Line(of("lengthwise_longest_wait_seconds"), f"waits {ENGINE}"),
                Line(
                    f"{allowed} / ({rate('lengthwise_bound_admitted_tokens_total')} > 0)",
                    f"allowed {ENGINE}",
                ),
            ],
            "s",
        ),
        course(
            "Backlog",
            "Work that waits, and the longest backlog of late, in tokens.",
            [
                Line(of("lengthwise_bound_backlog_tokens"), f"now {ENGINE}"),
                Line(longest, f"longest {ENGINE}"),
            ],
            "none",
        ),
        course(
            "May still go first",
            "Work that may be admitted from behind the gate, in tokens; the tolerance earns it.",
            [Line(of("lengthwise_bound_spare_tokens"), ENGINE)],
            "none",
        ),
    ]


def memory() -> list[Panel]:
    """The KV cache, and requests that lose theirs."""
    used, held = of("lengthwise_kv_cache_used_tokens"), of("lengthwise_kv_cache_tokens")
    return [
        course(
            "KV cache in use",
            "Share of the tokens that the KV cache holds.",
            [Line(f"{used} / {held}", ENGINE)],
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


def classes() -> list[Panel]:
    """What service classes are promised, and what they get."""
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
