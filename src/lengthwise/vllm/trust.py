"""Whom a server believes whose request it is; hints of HTTP join their request here.

A tenant, a priority, a class and a tier let a request go first, so one place is trusted to name
them: the body, as long as all clients are the operator's own; headers, which a gateway sets; or
none. What any other place says is left out and counted.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from lengthwise.core.text import visible
from lengthwise.vllm.hints import CLASS_HINT, PREDICTED_HINT, TIER_HINT, UNTRUSTED_HINT
from lengthwise.vllm.hints_middleware import MIDDLEWARE, heard
from lengthwise.vllm.http_hints import Said
from lengthwise.workload.clients import TENANT_HINT, WHOLE

logger = logging.getLogger("vllm.lengthwise")

_NAMES = frozenset({TENANT_HINT, CLASS_HINT, TIER_HINT})

_PRIORITY = "priority"
"""vLLM's own field; among what headers say, too."""

_told: set[str] = set()


def bring(request: Any, trust: str, routed: bool = False) -> Any:
    """A request on its way to the engine, with the hints of the HTTP request that it comes from.

    What ``vllm_xargs`` has of them comes first, then headers, then the other fields of the body.

    Args:
        request: vLLM's, as it leaves the API server; pooling requests carry no hints.
        trust, routed: the settings.
    """
    source = heard()
    said = Said() if source is None else source.said()
    if source is None and trust == "headers":
        _tell(
            "no middleware", f"no request has a tenant: the server needs --middleware {MIDDLEWARE}"
        )
    params = request.sampling_params
    given = getattr(params, "extra_args", None)
    given = given if isinstance(given, Mapping) else {}
    own = {key: value for key, value in given.items() if key != UNTRUSTED_HINT}
    untrusted = list(_untrusted(request, own, said, trust))
    if not routed and isinstance(own.get(PREDICTED_HINT), list):
        # Only a router says more than a number.
        del own[PREDICTED_HINT]
        untrusted.append(PREDICTED_HINT)
    if trust != "body":
        request.priority = _priority(said.by_headers) if trust == "headers" else 0
    hints = _joined(own, said, trust)
    if untrusted:
        hints[UNTRUSTED_HINT] = untrusted
        for place in untrusted:
            _tell(place, f"{place} of a client is not believed (trust {trust}, routed {routed})")
    if params is not None and hints != given:
        request.sampling_params = copy.copy(params)
        request.sampling_params.extra_args = hints
    return request


def _joined(own: Mapping[str, Any], said: Said, trust: str) -> dict[str, Any]:
    if trust == "body":
        return {**said.needs, **said.by_body, **own}
    names = said.by_headers if trust == "headers" else {}
    kept = {key: value for key, value in own.items() if key not in _NAMES}
    return {**said.needs, **kept, **{key: names[key] for key in names if key != _PRIORITY}}


def _untrusted(request: Any, given: Mapping[str, Any], said: Said, trust: str) -> Iterator[str]:
    """Headers and fields that say whose request it is, and are not believed."""
    if trust != "headers":
        yield from said.places.get("headers", ())
    if trust == "body":
        return
    yield from said.places.get("body", ())
    yield from sorted(_NAMES & given.keys())
    if request.priority and (trust == "none" or _PRIORITY not in said.by_headers):
        yield _PRIORITY


def _priority(names: Mapping[str, Any]) -> int:
    """vLLM's priority as a header has it; 0 where that is none."""
    try:
        number = int(names.get(_PRIORITY, 0))
    except ValueError:
        return 0
    return number if number in WHOLE else 0


def _tell(what: str, line: str) -> None:
    """Log a line once for each cause."""
    if what not in _told:
        _told.add(what)
        logger.warning("lengthwise: %s", visible(line))
