"""Hints of clients, checked at the door: nothing else reads what a client put beside its prompt."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from lengthwise.core.handed_on import handed_on
from lengthwise.core.prediction import Prediction, point
from lengthwise.vllm.piece import KEY as SLICE
from lengthwise.vllm.piece import max_tokens
from lengthwise.workload.clients import LONGEST_NAME, TENANT_HINT, WHOLE, is_whole, name_of, shown

logger = logging.getLogger("vllm.lengthwise")

ORACLE_HINT = "lengthwise_true_tokens"
"""Key in a request's ``extra_args`` that the oracle predictor of a bench reads; only it does."""

PREDICTED_HINT = "lengthwise_predicted_tokens"
"""Key in a request's ``extra_args``: a router's prediction, or the tokens a client expects."""

EXPECTED_HINT = "lengthwise_expected_tokens"
"""Key in a request's ``extra_args``: the output tokens that a client expects."""

TEMPLATE_HINT = "template"
"""Key in a request's ``extra_args``: the application it comes from."""

DEADLINE_HINT = "deadline"
"""Key in a request's ``extra_args``: its latest useful finish time in seconds."""

ROUTED_HINT = "lengthwise_routed_id"
"""Key in a request's ``extra_args``: the id that a router in front of several servers gave it."""

_KEYS = (
    ROUTED_HINT,
    TENANT_HINT,
    TEMPLATE_HINT,
    PREDICTED_HINT,
    EXPECTED_HINT,
    ORACLE_HINT,
    DEADLINE_HINT,
    SLICE,
)

_QUIET_S = 60.0
"""Seconds between two lines of the log about hints that were ignored."""

_Value = TypeVar("_Value")


class Ignored:
    """Counts hints that are outside their limits, and logs one line a minute at most.

    Args:
        clock: seconds.

    Attributes:
        counts: ignored hints by key.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_until = -math.inf
        self.counts: Counter[str] = Counter()

    def add(self, key: str, said: Any, wanted: str) -> None:
        """A hint under this key is not used: its value, and what it should be."""
        self.counts[key] += 1
        if self._clock() < self._quiet_until:
            return
        self._quiet_until = self._clock() + _QUIET_S
        logger.warning(
            "lengthwise ignores a client's hint: %s is %s, not %s (hints ignored so far: %d)",
            key,
            wanted,
            shown(said),
            self.counts.total(),
        )


@dataclass(frozen=True)
class Hints:
    """The hints that a client sent with one request, each value within its limits.

    Attributes:
        tenant: whose request it is.
        template: the application it comes from; the tenant where the client names none.
        predicted: a router's prediction of its output tokens, or the number that a client
            expects, from 1 to its ``max_tokens``.
        truth: its true output tokens, as a bench measured them, within the same limits.
        deadline: its latest useful finish time in seconds.
        priority: vLLM's own field.
    """

    tenant: str | None = None
    template: str = ""
    predicted: Prediction | None = None
    truth: float | None = None
    deadline: float | None = None
    priority: int = 0

    @classmethod
    def of(cls, request: Any, ignored: Ignored) -> Hints:
        """The hints of a vLLM request; what is no hint is ignored and counted."""
        given = getattr(request.sampling_params, "extra_args", None)
        hints = given if isinstance(given, Mapping) else {}

        def read(key: str, wanted: str, parse: Callable[[Any], _Value | None]) -> _Value | None:
            try:
                return parse(hints.get(key))
            except ValueError:
                ignored.add(key, hints.get(key), wanted)
                return None

        def tokens(said: Any) -> float | None:
            return None if said is None else _tokens(said, max_tokens(request))

        def expected(said: Any) -> Prediction | None:
            number = tokens(said)
            return None if number is None else point(number, "client")

        def predicted(said: Any) -> Prediction | None:
            # Only a router says more than a number.
            if isinstance(said, dict | list):
                return _handed_on(said, max_tokens(request))
            return expected(said)

        tenant = read(TENANT_HINT, "a text", name_of)
        count = "a number of tokens from 1"
        return cls(
            tenant,
            read(TEMPLATE_HINT, "a text", name_of) or tenant or "",
            read(PREDICTED_HINT, count, predicted) or read(EXPECTED_HINT, count, expected),
            read(ORACLE_HINT, count, tokens),
            read(DEADLINE_HINT, "a number of seconds", _seconds),
            _priority(request.priority, ignored),
        )


def routed_id(request: Any) -> str:
    """The id that a router gave a vLLM request; empty if it came without one."""
    given = getattr(request.sampling_params, "extra_args", None)
    said = given.get(ROUTED_HINT) if isinstance(given, Mapping) else None
    return said if isinstance(said, str) else ""


def fit_to_travel(request: Any) -> Any:
    """A client's request with hints that vLLM can send to its engine core.

    Texts are cut, and get a question mark where JSON had half a character, which no encoding
    knows; what is neither a text nor a number becomes an empty list, for the engine to count.
    """
    if not is_whole(request.priority):
        request.priority = 0
    given = getattr(request.sampling_params, "extra_args", None)
    if isinstance(given, Mapping) and not given.keys().isdisjoint(_KEYS):
        request.sampling_params = copy.copy(request.sampling_params)
        fit = {key: _fit(key, given[key]) for key in _KEYS if key in given}
        request.sampling_params.extra_args = {**given, **fit}
    return request


def _fit(key: str, said: Any) -> Any:
    if isinstance(said, str):
        return said[:LONGEST_NAME].encode(errors="replace").decode()
    if key == PREDICTED_HINT and isinstance(said, dict | list):
        return said if _is_handed_on(said) else []
    return said if is_whole(said) or isinstance(said, float | bool | None) else []


def _handed_on(said: dict[str, Any] | list[Any], most: int) -> Prediction:
    found = handed_on(said)
    if found is None:
        raise ValueError
    return found.at_most(most)


def _is_handed_on(said: dict[str, Any] | list[Any]) -> bool:
    try:
        return handed_on(said) is not None
    except ValueError:
        return False


def _tokens(said: Any, most: int) -> float:
    if not _is_number(said) or said < 1:
        raise ValueError
    return float(min(said, most))


def _seconds(said: Any) -> float | None:
    if said is None:
        return None
    if not _is_number(said) or abs(said) > WHOLE.stop:
        raise ValueError
    return float(said)


def _is_number(said: Any) -> bool:
    # JSON's true is Python's 1.
    if isinstance(said, float):
        return math.isfinite(said)
    return isinstance(said, int) and not isinstance(said, bool)


def _priority(said: Any, ignored: Ignored) -> int:
    if is_whole(said):
        return int(said)
    ignored.add("priority", said, "a whole number of 64 bits")
    return 0
