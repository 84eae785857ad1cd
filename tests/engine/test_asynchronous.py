"""Asynchronous scheduling, vLLM's default on a GPU: outputs come while the next step runs."""

from __future__ import annotations

from typing import Any


def test_predictions_arrive_and_answers_do_not_change(drive: Any, mixed: Any) -> None:
    stock = drive("stock", mixed, asynchronous=True)
    ours = drive("trail", mixed, asynchronous=True)
    assert stock["ahead"]
    assert ours["ahead"]
    assert ours["answers"] == stock["answers"]
    assert {name for name, _, _ in ours["predictions"]} == {each["id"] for each in mixed}
