"""Whether a server's scheduler is ours: with another one lengthwise changes nothing."""

from __future__ import annotations

import pkgutil

_OURS, _OURS_IS_IN = "lengthwise.vllm.Scheduler", "lengthwise.vllm.scheduler"


def is_ours(given: str | type | None) -> bool:
    """Whether a ``--scheduler-cls``, a class or where it is to be imported from, is our scheduler.

    Classes derived from it are too. Nothing of ours is imported for another's.
    """
    if isinstance(given, str):
        if given.startswith("vllm."):
            return False
        if given == _OURS:
            return True
        given = pkgutil.resolve_name(given)
    if not isinstance(given, type):
        return False
    return any(each.__module__ == _OURS_IS_IN for each in given.__mro__)
