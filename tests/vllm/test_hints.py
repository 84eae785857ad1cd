"""Hints of clients at the door: whatever they are, what comes out has its type and limits."""

from __future__ import annotations

import logging
import math
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core import handed_on
from lengthwise.core.bins import Bins
from lengthwise.core.lengths import Lengths
from lengthwise.core.prediction import each_of, point
from lengthwise.core.service import Target
from lengthwise.vllm.hints import (
    DEADLINE_HINT,
    EXPECTED_HINT,
    LATENCY_HINT,
    ORACLE_HINT,
    PREDICTED_HINT,
    SESSION_HINT,
    TEMPLATE_HINT,
    TIER_HINT,
    TPOT_HINT,
    TTFT_HINT,
    UNTRUSTED_HINT,
    Hints,
    fit_to_travel,
)
from lengthwise.vllm.ignored import Ignored
from lengthwise.vllm.piece import KEY as SLICE
from lengthwise.vllm.piece import Slice, drop_facts, max_tokens
from lengthwise.workload.clients import LONGEST_NAME, TENANT_HINT, WHOLE

MOST = 50
KEYS = [
    *(TENANT_HINT, TEMPLATE_HINT, PREDICTED_HINT, EXPECTED_HINT, ORACLE_HINT, DEADLINE_HINT),
    SLICE,
]

plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**4000), 2**63, 0.001, 1e308, -0.0])
    | st.floats()
    | st.text(max_size=300)
)
values = st.recursive(
    plain, lambda each: st.lists(each, max_size=4) | st.dictionaries(st.text(max_size=9), each)
)
facts = st.fixed_dictionaries({"generated": values, "max_tokens": values})


def request(priority: Any = 0, **hints: Any) -> Any:
    params = SimpleNamespace(extra_args=hints or None)
    return SimpleNamespace(
        sampling_params=params, max_tokens=MOST, num_prompt_tokens=5, priority=priority
    )


def read(priority: Any = 0, **hints: Any) -> Hints:
    return Hints.of(request(priority, **hints), Ignored())


def is_name(found: Any) -> bool:
    return isinstance(found, str) and len(found) <= LONGEST_NAME


@given(st.dictionaries(st.sampled_from(KEYS), values | facts) | values, values)
def test_whatever_a_client_says_the_scheduler_gets_values_within_their_limits(
    said: Any, priority: Any
) -> None:
    it = request(priority)
    it.sampling_params.extra_args = said
    hints = Hints.of(it, Ignored())
    assert hints.tenant is None or (is_name(hints.tenant) and hints.tenant)
    assert is_name(hints.template)
    for tokens in (hints.predicted and hints.predicted.tokens, hints.truth):
        assert tokens is None or (type(tokens) is float and 1 <= tokens <= MOST)
    assert hints.deadline is None or math.isfinite(hints.deadline)
    assert type(hints.priority) is int
    assert hints.priority in WHOLE
    hash(hints)


@given(st.dictionaries(st.sampled_from(KEYS), values), values)
def test_hints_that_travel_are_read_as_those_that_were_sent(
    said: dict[str, Any], priority: Any
) -> None:
    sent = request(priority, **said)
    expected, before = Hints.of(sent, Ignored()), sent.sampling_params
    it = fit_to_travel(sent)
    msgspec.msgpack.encode((it.sampling_params.extra_args, it.priority))
    if all(abs(each) in WHOLE for each in said.values() if isinstance(each, int)):
        assert Hints.of(it, Ignored()) == expected
    assert before.extra_args == (said or None), "the client's own parameters stay as they are"


def test_half_a_character_travels_as_a_question_mark() -> None:
    it = fit_to_travel(request(**{TENANT_HINT: "a\ud800", "other": "\ud800"}))
    assert it.sampling_params.extra_args == {TENANT_HINT: "a?", "other": "\ud800"}


@given(facts | values)
def test_a_forged_slice_is_told_apart_and_dropped(said: Any) -> None:
    it = request(**{SLICE: said, "other": 1})
    piece = Slice.of(it.sampling_params)
    if piece is not None and piece.fits(it, vocabulary=100, longest=60):
        assert all(0 <= token < 100 for token in piece.generated)
        assert len(piece.generated) < MOST <= piece.max_tokens
        return
    assert drop_facts(it) is said
    assert it.sampling_params.extra_args == {"other": 1}
    assert max_tokens(it) == MOST


@pytest.mark.parametrize(
    "said",
    ["soon", "30", 0, -4, 0.001, 0.999, math.nan, math.inf, True, [[3]], {"a": 1}, -(10**400)],
)
@pytest.mark.parametrize("key", [PREDICTED_HINT, EXPECTED_HINT])
def test_an_absurd_number_of_tokens_is_no_prediction(key: str, said: Any) -> None:
    """It may put no request before others."""
    assert read(**{key: said}).predicted is None


@pytest.mark.parametrize(
    ("said", "tokens"), [(1, 1), (12.5, 12.5), (MOST, MOST), (10**400, MOST), (1e300, MOST)]
)
def test_a_prediction_is_at_most_what_the_client_allows(said: Any, tokens: float) -> None:
    assert read(**{PREDICTED_HINT: said}).predicted == point(tokens, "client")
    assert read(**{EXPECTED_HINT: said}).predicted == point(tokens, "client")


def test_a_router_comes_before_its_client() -> None:
    found = read(**{PREDICTED_HINT: {"tokens": 30.0}, EXPECTED_HINT: 2}).predicted
    assert found == point(30.0, "router")
    assert read(**{PREDICTED_HINT: "soon", EXPECTED_HINT: 2}).predicted == point(2.0, "client")
    assert read(**{EXPECTED_HINT: {"tokens": 30.0}}).predicted is None, "clients send numbers"


def test_a_prediction_of_a_slice_is_of_the_whole_request() -> None:
    sliced = {SLICE: {"generated": [], "max_tokens": 90}}
    assert read(**{PREDICTED_HINT: 80}, **sliced).predicted == point(80.0, "client")


def test_a_router_hands_on_its_whole_distribution() -> None:
    shares = np.array([[0.5, 0.25, 0.25]], np.float32)
    [made] = each_of(Lengths.of(Bins.equal(3, 45.0), shares), "router")
    assert made is not None
    handed = fit_to_travel(request(**{PREDICTED_HINT: handed_on.plain(made)}))
    found = Hints.of(handed, Ignored()).predicted
    assert found is not None
    assert (found.tokens, found.source, found.age) == (made.tokens, "router", 0)
    assert found.quantile(0.9) == made.quantile(0.9)
    assert found.after(20).mean == made.after(20).mean


@pytest.mark.parametrize(
    "said",
    [
        {"tokens": 3.0, "lower": 1, "probabilities": [1.0]},
        {"tokens": 0.001},
        {"tokens": math.nan},
        {"tokens": -3.0},
        {"tokens": [1]},
    ],
)
def test_what_no_router_hands_on_is_no_prediction(said: Any) -> None:
    assert read(**{PREDICTED_HINT: said}).predicted is None


def test_who_says_nothing_has_no_hints_and_pooling_has_none() -> None:
    assert read() == Hints()
    pooling = SimpleNamespace(sampling_params=None, priority=0, max_tokens=1)
    assert Hints.of(pooling, Ignored()) == Hints()


def test_an_application_is_the_tenants_unless_it_has_a_name() -> None:
    assert read(**{TENANT_HINT: "acme"}).template == "acme"
    assert read(**{TENANT_HINT: "acme", TEMPLATE_HINT: "chat"}).template == "chat"
    assert read(**{TENANT_HINT: 7}).tenant == "7"


def test_names_are_cut() -> None:
    assert read(**{TENANT_HINT: "a" * 10**6}).tenant == "a" * LONGEST_NAME


def test_bad_hints_are_counted_and_one_line_a_minute_tells_of_them(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("vllm"), "propagate", True)
    now = [0.0]
    ignored = Ignored(lambda: now[0])
    evil = "\n\x1b[2J" + "x" * 10**6
    for said in [evil, *range(-1000, 0)]:
        Hints.of(request(**{PREDICTED_HINT: said}), ignored)
    Hints.of(request(priority="x"), ignored)
    assert ignored.counts == {PREDICTED_HINT: 1001, "priority": 1}
    (line,) = caplog.messages
    assert line.startswith("lengthwise ignores a client's hint: lengthwise_predicted_tokens is ")
    assert len(line) < 250
    assert line.isprintable()
    now[0] = 61.0
    Hints.of(request(**{TENANT_HINT: [1]}), ignored)
    assert len(caplog.messages) == 2
    assert caplog.messages[1].endswith("(hints ignored so far: 1003)")


def test_targets_are_milliseconds_from_arrival() -> None:
    hints = read(**{TTFT_HINT: 250, TPOT_HINT: 12.5, LATENCY_HINT: 1500})
    assert hints.target == Target(0.25, 0.0125, 1.5)
    assert hints.deadline_from(10.0) == 11.5
    assert read().deadline_from(10.0) is None
    assert read(**{DEADLINE_HINT: 7.0, LATENCY_HINT: 1500}).deadline_from(10.0) == 7.0


@pytest.mark.parametrize("said", ["soon", 0, -1, True, math.nan, math.inf, 10**12, [1], {}])
def test_a_target_that_is_none_is_ignored_and_counted(said: Any) -> None:
    ignored = Ignored()
    assert Hints.of(request(**{LATENCY_HINT: said}), ignored).target == Target()
    assert ignored.counts == {LATENCY_HINT: 1}


@pytest.mark.parametrize(
    ("tier", "priority", "precedence"),
    [("priority", 0, -1), ("flex", 0, 1), ("scale", 0, 0), ("flex", -5, -5), (None, 3, 3)],
)
def test_a_tier_counts_where_there_is_no_priority(
    tier: str | None, priority: int, precedence: int
) -> None:
    hints = read(priority, **{TIER_HINT: tier})
    assert (hints.tier, hints.priority, hints.precedence) == (tier, priority, precedence)


def test_a_session_is_ours_or_vllms_own() -> None:
    it = request(**{SESSION_HINT: "ours"})
    it.session_id = "x" * 1000
    assert Hints.of(it, Ignored()).session == "ours"
    it.sampling_params.extra_args = None
    assert Hints.of(it, Ignored()).session == "x" * LONGEST_NAME
    it.session_id = ""
    assert Hints.of(it, Ignored()).session is None


def test_only_a_list_counts_as_what_was_not_trusted() -> None:
    ignored = Ignored()
    for said in (None, "x", {}, 5, ["a"] * 1000):
        Hints.of(fit_to_travel(request(**{UNTRUSTED_HINT: said})), ignored)
    assert ignored.counts == {"untrusted": 16}
