"""Is this a vLLM that the plug-in knows? Asked once, before anything is scheduled."""

from __future__ import annotations

import inspect
from typing import Any

from lengthwise.errors import UserError

WORKS_WITH = ("0.32",)


_SCHEDULER = (
    *("schedule", "update_from_output", "add_request", "finish_requests"),
    *("_free_request", "_preempt_request", "_is_blocked_waiting_status"),
)
_QUEUE = ("add_request", "pop_request", "peek_request", "prepend_requests", "remove_requests")
_WORKS = "lengthwise works with vLLM " + ", ".join(f"{known}.x" for known in WORKS_WITH)


def check_version(version: str) -> None:
    """Refuse a version we have not run.

    Raises:
        UserError: one line with the versions that work.
    """
    if ".".join(version.split(".")[:2]) not in WORKS_WITH:
        raise UserError(f"{_WORKS}, not {version}: install one of these")


def check(version: str, scheduler: type[Any], queue: type[Any]) -> None:
    """Compare the version and the private names we build on with what we know.

    Raises:
        UserError: one line with the versions that work.
    """
    check_version(version)
    missing = [name for name in _SCHEDULER if not hasattr(scheduler, name)]
    missing += [name for name in _QUEUE if not hasattr(queue, name)]
    source = inspect.getsource(scheduler.schedule)
    missing += [
        name
        for name in ("max_num_active_reqs", "self.waiting", "self.running")
        if name not in source
    ]
    if missing:
        raise UserError(f"this vLLM {version} lacks {missing[0]}; {_WORKS}, as released")
