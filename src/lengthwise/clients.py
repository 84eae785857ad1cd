"""What a client says of a request beside its prompt: whose it is, and how urgent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TENANT_HINT = "lengthwise_tenant"
"""Key in a request's ``extra_args`` (over HTTP: ``vllm_xargs``): whose request it is."""


def client_of(record: Mapping[str, Any]) -> tuple[str | None, int]:
    """A record's ``tenant`` and ``priority``; None and 0 where it does not say.

    Raises:
        ValueError: if the priority is not a whole number.
    """
    tenant, priority = record.get("tenant"), record.get("priority")
    name = None if tenant in (None, "") else str(tenant)
    if priority in (None, ""):
        return name, 0
    try:
        if isinstance(priority, str | int) and not isinstance(priority, bool):
            return name, int(priority)
    except ValueError:
        pass
    raise ValueError(f"priority is not a whole number: {str(priority)[:40]!r}")
