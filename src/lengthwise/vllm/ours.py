"""Whether a server's scheduler is ours: with another one lengthwise changes nothing."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from typing import Any

KEY = "lengthwise"
"""Of our settings in vLLM's additional config."""

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


def served_with(app: Any) -> Any:
    """The arguments of ``vllm serve`` that its ASGI application was built of; None if unknown."""
    return getattr(getattr(app, "state", None), "args", None)


def settings_in(arguments: Any) -> Mapping[str, Any]:
    """Our settings in such arguments, as they were given."""
    config = getattr(arguments, "additional_config", None)
    ours = config.get(KEY) if isinstance(config, dict) else None
    return ours if isinstance(ours, dict) else {}
