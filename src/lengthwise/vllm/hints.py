"""Hints of clients, checked at the door: nothing else reads what a client put beside its prompt."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from lengthwise.core.handed_on import handed_on
from lengthwise.core.prediction import Prediction, point
from lengthwise.core.service import Sender, Target
from lengthwise.vllm.ignored import MOST_UNTRUSTED, Ignored
from lengthwise.vllm.piece import KEY as SLICE
from lengthwise.vllm.piece import max_tokens
from lengthwise.workload.clients import LONGEST_NAME, TENANT_HINT, WHOLE, is_whole, name_of

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

LATENCY_HINT = "lengthwise_deadline_ms"
"""Key in a request's ``extra_args``: milliseconds from its arrival to its last token, at most."""

TTFT_HINT = "lengthwise_ttft_ms"
"""Key in a request's ``extra_args``: milliseconds from its arrival to its first token, at most."""

TPOT_HINT = "lengthwise_tpot_ms"
"""Key in a request's ``extra_args``: most milliseconds for each token after the first."""

CLASS_HINT = "lengthwise_class"
"""Key in a request's ``extra_args``: the service class that it asks for."""

TIER_HINT = "lengthwise_tier"
"""Key in a request's ``extra_args``: OpenAI's ``service_tier``."""

SESSION_HINT = "lengthwise_session"
"""Key in a request's ``extra_args``: the conversation that it is a part of."""

UNTRUSTED_HINT = "lengthwise_untrusted"
"""Key in a request's ``extra_args``: what named its tenant or priority and was not believed."""

ROUTED_HINT = "lengthwise_routed_id"
"""Key in a request's ``extra_args``: the id that a router in front of several servers gave it."""

_KEYS = (
    ROUTED_HINT,
    *(TENANT_HINT, TEMPLATE_HINT, PREDICTED_HINT, EXPECTED_HINT, ORACLE_HINT, DEADLINE_HINT),
    *(LATENCY_HINT, TTFT_HINT, TPOT_HINT, CLASS_HINT, TIER_HINT, SESSION_HINT, UNTRUSTED_HINT),
    SLICE,
)

_LONGEST_MS = 30 * 24 * 3600 * 1000
"""No target is further away than a month."""

_NO_TARGET = Target()

_BY_TIER = {"priority": -1, "flex": 1}
"""A tier's priority, for requests that have none of their own."""

_COUNT = "a number of tokens from 1"

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Hints:
    """The hints that a client sent with one request, each value within its limits.

    Attributes:
        tenant: whose request it is.
        template: the application it comes from; the tenant where the client names none.
        predicted: a router's prediction of its output tokens, or the number that a client
            expects, from 1 to its ``max_tokens``.
        truth: its true output tokens, as a bench measured them, within the same limits.
        deadline: its latest useful finish time in seconds of the engine's clock.
        priority: vLLM's own field.
        target: what the client asks for this request, from its arrival on.
        service: the service class that it asks for.
        tier: OpenAI's ``service_tier``, where it asks for another than the ordinary one.
        session: the conversation that it is a part of.
    """

    tenant: str | None = None
    template: str = ""
    predicted: Prediction | None = None
    truth: float | None = None
    deadline: float | None = None
    priority: int = 0
    target: Target = _NO_TARGET
    service: str | None = None
    tier: str | None = None
    session: str | None = None

    @classmethod
    def of(cls, request: Any, ignored: Ignored) -> Hints:
        """The hints of a vLLM request; what is no hint is ignored and counted."""
        given = getattr(request.sampling_params, "extra_args", None)
        said = _Said(given if isinstance(given, Mapping) else {}, request, ignored)
        tenant = said.name(TENANT_HINT)
        ignored.untrusted(said.given.get(UNTRUSTED_HINT))
        return cls(
            tenant,
            said.name(TEMPLATE_HINT) or tenant or "",
            said.predicted() or said.expected(EXPECTED_HINT),
            said.tokens(ORACLE_HINT),
            said.read(DEADLINE_HINT, "a number of seconds", _seconds),
            _priority(request.priority, ignored),
            Target(said.delay(TTFT_HINT), said.delay(TPOT_HINT), said.delay(LATENCY_HINT)),
            said.name(CLASS_HINT),
            said.name(TIER_HINT),
            said.name(SESSION_HINT) or _session(request),
        )

    @property
    def sender(self) -> Sender:
        """What it says of whoever sent it."""
        return Sender(self.tenant, self.priority, self.tier, self.service)

    @property
    def precedence(self) -> int:
        """Its priority; where it has none, its tier's."""
        return self.priority or _BY_TIER.get(self.tier or "", 0)

    def deadline_from(self, arrival: float) -> float | None:
        """Its latest useful finish time for an arrival at this time, in seconds."""
        if self.deadline is not None or self.target.deadline is None:
            return self.deadline
        return arrival + self.target.deadline


@dataclass(frozen=True)
class _Said:
    """What a client said, read value by value."""

    given: Mapping[str, Any]
    request: Any
    ignored: Ignored

    def read(self, key: str, wanted: str, parse: Callable[[Any], _Value]) -> _Value | None:
        said = self.given.get(key)
        if said is None:
            return None
        try:
            return parse(said)
        except ValueError:
            self.ignored.add(key, said, wanted)
            return None

    def name(self, key: str) -> str | None:
        return self.read(key, "a text", name_of)

    def tokens(self, key: str) -> float | None:
        return self.read(key, _COUNT, self._tokens)

    def delay(self, key: str) -> float | None:
        return self.read(key, "a number of milliseconds above 0", _delay)

    def expected(self, key: str) -> Prediction | None:
        return self.read(key, _COUNT, lambda said: point(self._tokens(said), "client"))

    def predicted(self) -> Prediction | None:
        # Only a router says more than a number.
        if isinstance(self.given.get(PREDICTED_HINT), dict | list):
            return self.read(PREDICTED_HINT, _COUNT, self._handed_on)
        return self.expected(PREDICTED_HINT)

    def _tokens(self, said: Any) -> float:
        if not _is_number(said) or said < 1:
            raise ValueError
        return float(min(said, max_tokens(self.request)))

    def _handed_on(self, said: dict[str, Any] | list[Any]) -> Prediction:
        found = handed_on(said)
        if found is None:
            raise ValueError
        return found.at_most(max_tokens(self.request))


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
    if key == UNTRUSTED_HINT and isinstance(said, list):
        return [each for each in said[:MOST_UNTRUSTED] if isinstance(each, str) and each.isascii()]
    return said if is_whole(said) or isinstance(said, float | bool | None) else []


def _is_handed_on(said: dict[str, Any] | list[Any]) -> bool:
    try:
        return handed_on(said) is not None
    except ValueError:
        return False


def _delay(said: Any) -> float:
    if not _is_number(said) or not 0 < said <= _LONGEST_MS:
        raise ValueError
    return float(said) / 1000


def _seconds(said: Any) -> float:
    if not _is_number(said) or abs(said) > WHOLE.stop:
        raise ValueError
    return float(said)


def _session(request: Any) -> str | None:
    """As vLLM's own field has it, from header or body."""
    said = getattr(request, "session_id", None)
    return said[:LONGEST_NAME] or None if isinstance(said, str) else None


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
