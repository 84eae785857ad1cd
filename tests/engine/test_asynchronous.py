"""Asynchronous scheduling, vLLM's default on a GPU: outputs come while the next step runs."""

from __future__ import annotations

from typing import Any

SEATS = 4


def test_predictions_arrive_and_answers_do_not_change(drive: Any, mixed: Any) -> None:
    stock = drive("stock", mixed, SEATS, asynchronous=True)
    ours = drive("trail", mixed, SEATS, asynchronous=True)
    assert stock["ahead"]
    assert ours["ahead"]
    assert ours["answers"] == stock["answers"]
    # Nobody asks for predictions of those that come first or last, if they leave a seat free.
    everybody = {each["id"] for each in mixed}
    due = everybody - begun_with_a_seat_to_spare(ours["trace"])
    assert len(due) > len(everybody) - 2 * SEATS
    assert due <= {name for name, _, _ in ours["predictions"]} <= everybody


def begun_with_a_seat_to_spare(trace: list[dict[str, Any]]) -> set[str]:
    begun: dict[str, int] = {}
    for step in trace:
        for name, _ in step["scheduled"]:
            begun.setdefault(name, len(step["scheduled"]))
    return {name for name, served in begun.items() if served < SEATS}
