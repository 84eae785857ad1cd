"""A request's tenant and priority, as its client sends them beside the prompt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

TENANT_HINT = "lengthwise_tenant"
"""Key in a request's ``extra_args`` (over HTTP: ``vllm_xargs``): the request's tenant."""

LONGEST_NAME = 128
"""Characters of a name that are kept: schedulers hold it for as long as it may matter."""

WHOLE = range(-(2**63), 2**63)
"""Whole numbers as they travel between vLLM's processes, ``priority`` among them."""


def client_of(record: Mapping[str, Any]) -> tuple[str | None, int]:
    """A record's ``tenant`` and ``priority``; None and 0 where they are missing.

    Raises:
        ValueError: if the tenant is not a name, or the priority not a whole number.
    """
    return name_of(record.get("tenant")), _priority(record.get("priority"))


def name_of(said: Any) -> str | None:
    """A tenant's name, or an application's, cut to ``LONGEST_NAME``; None where there is none.

    Raises:
        ValueError: if it is neither a text nor a number.
    """
    if said is None or said == "":
        return None
    if isinstance(said, str):
        return said[:LONGEST_NAME]
    if is_whole(said) or (isinstance(said, float) and math.isfinite(said)):
        return str(said)
    raise ValueError(f"a tenant is a name, not {shown(said)}")


def is_whole(said: Any) -> bool:
    """Whether this is a whole number of 64 bits; JSON's true, Python's 1, is none."""
    return type(said) is int and said in WHOLE


def _priority(said: Any) -> int:
    if said in (None, ""):
        return 0
    try:
        number = int(said) if isinstance(said, str) else said
        if is_whole(number):
            return int(number)
    except ValueError:
        pass
    raise ValueError(f"priority is not a whole number of 64 bits: {shown(said)}")


def shown(said: Any) -> str:
    """A client's text, short and on one line, fit for a log or an answer."""
    if isinstance(said, str):
        return ascii(said[:40]) + ("..." if len(said) > 40 else "")
    if isinstance(said, float) or is_whole(said):
        return repr(said)
    return f"a {type(said).__name__}"
