"""Who got what was promised: against the definition, request by request."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.service import Classes, ServiceClass, Target
from lengthwise.results.attainment import judge, promised
from lengthwise.results.files import as_json, plain
from lengthwise.results.timings import Times

CHAT = ServiceClass("chat", Target(ttft=1.0, tpot=0.1), tenants=("web",))
BATCH = ServiceClass("batch", Target(deadline=60.0))
REST = ServiceClass("rest")
CLASSES = Classes((CHAT, BATCH, REST), "rest")

SECONDS = st.floats(0.0, allow_infinity=False) | st.sampled_from([0.0, 5e-324, 1.0, 1e308])
LIMITS = st.none() | SECONDS
TARGETS = st.builds(Target, LIMITS, LIMITS, LIMITS)


def times(*rows: tuple[float, float, float, int]) -> Times:
    """Rows of arrival, first and last token in seconds, and tokens."""
    arrival, first, finish, tokens = zip(*rows, strict=True)
    gap = np.zeros(len(rows))
    return Times(np.array(arrival), np.array(first), np.array(finish), gap, np.array(tokens))


def test_each_target_that_is_missed_is_counted_and_goodput_is_what_is_left() -> None:
    run = times(
        (0.0, 0.5, 1.4, 10),  # chat: in time
        (0.0, 2.0, 2.9, 10),  # chat: first token late
        (0.0, 2.0, 9.0, 11),  # chat: late, and slow
        (0.0, 5.0, 50.0, 100),  # batch: in time
        (0.0, 5.0, math.nan, 3),  # batch: never finished
        (10.0, 20.0, 100.0, 7),  # rest: promised nothing
    )
    service = ["chat", "chat", "chat", "batch", "batch", "rest"]
    found = promised(run, service, CLASSES)
    assert isinstance(found.classes, dict)
    chat, batch, rest = (found.classes[name] for name in ("chat", "batch", "rest"))
    assert (chat.requests, chat.finished, chat.met) == (3, 3, 1)
    assert (chat.late_ttft, chat.late_tpot) == (2, 1)
    assert "late_deadline" not in plain(chat)
    assert chat.attained_share == pytest.approx(1 / 3)
    assert (batch.requests, batch.finished, batch.met, batch.late_deadline) == (2, 1, 1, 0)
    assert batch.attained_share == 0.5
    assert (rest.met, rest.attained_share) == (1, 1.0)
    assert chat.goodput_requests_per_s == pytest.approx(1 / 100)
    # The whole run's are of the five that were promised anything.
    assert found.goodput_requests_per_s == pytest.approx(2 / 100)
    assert found.goodput_tokens_per_s == pytest.approx((10 + 100) / 100)
    assert found.attained_share == pytest.approx(2 / 5)


def test_a_class_without_requests_neither_attains_nor_fails() -> None:
    found = promised(times((0.0, 0.5, 1.0, 10)), ["chat"], CLASSES)
    assert isinstance(found.classes, dict)
    assert plain(found.classes["batch"]) == {
        **{"requests": 0, "finished": 0, "met": 0, "attained_share": None, "late_deadline": 0},
        **{"goodput_requests_per_s": 0.0, "goodput_tokens_per_s": 0.0},
    }


def test_what_no_class_is_named_is_of_the_default_class() -> None:
    found = judge(np.ones(1), np.ones(1), np.ones(1, int), ["gone"], CLASSES)
    assert found.place.tolist() == [2]


def test_an_answer_of_one_token_has_no_pace_to_miss() -> None:
    slow = judge(np.array([0.5]), np.array([3.0]), np.array([1]), ["chat"], CLASSES)
    assert slow.met.all()


@given(TARGETS, st.lists(st.tuples(SECONDS, SECONDS, st.integers(0, 10**9)), max_size=8))
def test_requests_are_judged_as_the_definition_has_it(
    target: Target, rows: list[tuple[float, float, int]]
) -> None:
    classes = Classes((ServiceClass("only", target),), "only")
    ttft = np.array([min(a, b) for a, b, _ in rows], np.float64)
    latency = np.array([max(a, b) for a, b, _ in rows], np.float64)
    tokens = np.array([tokens for *_, tokens in rows], np.int64)
    found = judge(ttft, latency, tokens, ["only"] * len(rows), classes)
    assert found.met.tolist() == [
        target.met(*request)
        for request in zip(ttft.tolist(), latency.tolist(), tokens.tolist(), strict=True)
    ]


ODD = SECONDS | st.just(math.nan)


@given(
    st.lists(
        st.tuples(SECONDS, ODD, ODD, st.integers(0, 10**9), st.sampled_from(["a", "b", "c"])),
        min_size=1,
        max_size=8,
    ),
    st.lists(TARGETS, min_size=2, max_size=2),
)
def test_figures_of_times_of_any_size_add_up(
    rows: list[tuple[float, float, float, int, str]], targets: list[Target]
) -> None:
    named = zip("ab", targets, strict=True)
    classes = Classes(tuple(ServiceClass(name, target) for name, target in named), "b")
    run = times(*((a, a + first, a + first + last, n) for a, first, last, n, _ in rows))
    found = promised(run, [row[4] for row in rows], classes)
    assert isinstance(found.classes, dict)
    own = found.classes.values()
    assert sum(each.requests for each in own) == len(rows)
    assert all(0 <= each.met <= each.finished <= each.requests for each in own)
    owed = [found.classes[each.name] for each in classes.all if each.target]
    promised_to = sum(each.requests for each in owed)
    met = sum(each.met for each in owed)
    assert found.attained_share == (met / promised_to if promised_to else None)
    assert as_json(found.goodput_tokens_per_s) != "null"
