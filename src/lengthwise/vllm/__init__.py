"""Lengthwise inside vLLM. ``Scheduler`` is loaded on first use: it imports vLLM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lengthwise.vllm.scheduler import Scheduler
    from lengthwise.vllm.stock import StockScheduler

__all__ = ["Scheduler", "StockScheduler"]


def __getattr__(name: str) -> Any:
    if name == "Scheduler":
        from lengthwise.vllm.surface import ORDER, check_running

        # First, for its module is made of what may be missing.
        check_running(ORDER)
        from lengthwise.vllm.scheduler import Scheduler

        return Scheduler
    if name == "StockScheduler":
        from lengthwise.vllm.stock import StockScheduler

        return StockScheduler
    raise AttributeError(name)
