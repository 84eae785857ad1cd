"""The policy ``lengthwise``: its parts, and the order that they make."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.lanes import Lanes, waiting_queue
from lengthwise.core.policy import FIRST
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.policies import Fair, make_policy
from lengthwise.policies.gate import Gate
from lengthwise.policies.lengthwise import Lengthwise
from lengthwise.policies.sizes import LogLine, Sizes
from lengthwise.policies.work import Capacity


def request(seq: int, prompt: int, predicted: float | None = None, **known: object) -> Request:
    it = Request(str(seq), 0.0, seq, prompt, **known)  # type: ignore[arg-type]
    it.predict(predicted)
    return it


def queue_of(policy: Lengthwise, *requests: Request) -> Lanes[Request]:
    queue = waiting_queue(policy, lambda it: it)
    assert isinstance(queue, Lanes)
    for it in requests:
        queue.push(it)
    return queue


def admitted(queue: Lanes[Request]) -> Request:
    it = queue.pop()
    it.started = True
    return it


def ended(policy: Lengthwise, it: Request, tokens: int) -> None:
    it.generated = tokens
    policy.leave(it)


# Work.


def test_work_is_the_prompt_and_the_answer() -> None:
    assert Capacity(256, 400_000).work(request(0, 1000), 50) == 1050
    assert Capacity(256, 0).work(request(0, 10**6), 50) == 10**6 + 50


def test_an_answer_that_holds_more_than_a_seats_share_costs_more() -> None:
    # 256 seats share 400,000 tokens: 1,562.5 each; this one holds 3,125 on average.
    assert Capacity(256, 400_000).work(request(0, 3000), 250) == pytest.approx(3000 + 250 * 2)


def test_cached_tokens_are_not_computed_but_held() -> None:
    cached = request(0, 3000, cached_tokens=2000)
    assert Capacity(256, 400_000).work(cached, 250) == pytest.approx(1000 + 250 * 2)


# Sizes.


def test_without_predictions_the_mean_is_expected() -> None:
    sizes = Sizes()
    for tokens in [20, 40] * 500:
        sizes.learn(None, tokens)
    assert sizes.expected(None) == pytest.approx(30, abs=1)


def test_at_first_predictions_are_believed() -> None:
    assert LogLine().at(70.0) == pytest.approx(70.0)
    assert Sizes().expected(70.0) == pytest.approx(70.0)


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_a_biased_predictor_is_put_right(factor: float) -> None:
    sizes, rng = Sizes(), np.random.default_rng(0)
    for tokens in rng.integers(10, 400, 3000):
        sizes.learn(tokens * factor, int(tokens))
    for tokens in (20, 100, 300):
        assert sizes.expected(tokens * factor) == pytest.approx(tokens, rel=0.1)


def test_a_predictor_that_tells_nothing_comes_to_say_the_mean() -> None:
    sizes, rng = Sizes(), np.random.default_rng(0)
    for tokens, said in zip(rng.exponential(100, 6000), rng.lognormal(4, 1, 6000), strict=True):
        sizes.learn(said, int(tokens))
    for said in (20.0, 60.0, 150.0):
        assert sizes.expected(said) == pytest.approx(100, rel=0.25)


def test_a_reversed_predictor_comes_to_be_read_backwards() -> None:
    sizes, rng = Sizes(), np.random.default_rng(0)
    for tokens in rng.integers(1, 500, 3000):
        sizes.learn(501 - tokens, int(tokens))
    assert sizes.expected(20.0) > 2 * sizes.expected(450.0)


@given(
    st.lists(st.tuples(st.none() | st.floats(), st.integers(0, 10**9)), max_size=60),
    st.none() | st.floats(),
)
def test_whatever_is_predicted_the_expected_answer_is_finite(
    learned: list[tuple[float | None, int]], asked: float | None
) -> None:
    sizes = Sizes()
    for predicted, tokens in learned:
        sizes.learn(predicted, tokens)
    longest = max([1600.0, *(8.0 * tokens for _, tokens in learned)])
    assert 1.0 <= sizes.expected(asked) <= longest


# The gate.


def test_the_gate_opens_to_all_while_no_wait_is_due() -> None:
    gate = Gate(0.0)
    first, *_, last = [gate.enter(10.0) for _ in range(100)]
    assert gate.passes(first, 10.0)
    assert gate.passes(last, 10.0)


def test_after_as_much_work_as_waited_the_early_ones_are_due() -> None:
    gate = Gate(0.0)
    early = [gate.enter(100.0) for _ in range(10)]
    admitted = 0
    # Small ones come and go before them; they are worth as much as waited then.
    for _ in range(1000):
        late = gate.enter(10.0)
        if not gate.passes(late, 10.0):
            break
        gate.admit(late, 10.0)
        admitted += 1
    assert admitted * 10.0 <= 1000.0 * (1 + 1 / 16) + 20.0
    assert admitted > 0
    assert gate.passes(early[0], 100.0)


def test_what_is_saved_lets_small_requests_pass() -> None:
    strict, lenient = Gate(0.0), Gate(0.2)
    for gate in (strict, lenient):
        early = [gate.enter(100.0) for _ in range(20)]
        while gate.passes(late := gate.enter(5.0), 5.0):
            gate.admit(late, 5.0)
        gate.admit(early[0], 100.0)
    assert not strict.passes(strict.enter(5.0), 5.0)
    assert lenient.passes(lenient.enter(5.0), 5.0)
    assert not lenient.passes(lenient.enter(90.0), 90.0)


@given(st.lists(st.tuples(st.sampled_from("eaul"), st.floats(1, 500)), max_size=80))
def test_a_look_at_the_head_changes_nothing(acts: list[tuple[str, float]]) -> None:
    gate = Gate(0.1)
    waiting = []
    for act, work in acts:
        if act == "e":
            waiting.append((gate.enter(work), work))
        elif waiting and act == "a":
            gate.admit(*waiting.pop(0))
        elif waiting and act == "l":
            gate.abandon(*waiting.pop())
        elif waiting:
            before = gate.clock, gate.backlog, gate.peak, gate.saved
            passing = [gate.passes(*each) for each in waiting]
            gate.undo(*waiting[0], gate.admit(*waiting[0]))
            assert (gate.clock, gate.backlog, gate.peak, gate.saved) == pytest.approx(before)
            assert [gate.passes(*each) for each in waiting] == passing
    assert gate.backlog == pytest.approx(sum(work for _, work in waiting))


# The policy.


def test_the_least_work_goes_first_and_equals_in_order_of_arrival() -> None:
    policy = Lengthwise()
    queue = queue_of(
        *(policy, request(0, 900), request(1, 40), request(2, 41), request(3, 5, 900.0)),
    )
    assert [admitted(queue).seq for _ in range(4)] == [1, 2, 0, 3]


def test_what_was_evicted_comes_back_first() -> None:
    policy = Lengthwise()
    queue = queue_of(policy, request(0, 10), request(1, 400))
    first, large = admitted(queue), admitted(queue)
    ended(policy, first, 5)
    queue.push(request(2, 1))
    queue.push(large)
    assert policy.key(large) == FIRST
    assert queue.pop() is large


def test_a_late_prediction_ranks_a_request_again() -> None:
    policy = Lengthwise()
    one, two = request(0, 10), request(1, 10)
    queue = queue_of(policy, one, two)
    assert queue.peek() is one
    two.predict(3.0)
    queue.update(two)
    assert queue.peek() is two
    one.predict(1.0)
    queue.update(one)
    assert [admitted(queue) for _ in range(2)] == [one, two]


def test_cached_tokens_of_a_prompt_are_no_work() -> None:
    queue = queue_of(Lengthwise(), request(0, 300), request(1, 2000, cached_tokens=1990))
    assert queue.peek().seq == 1


def test_a_known_length_is_believed_and_teaches_nothing() -> None:
    policy = Lengthwise()
    known = request(0, 10, least_tokens=3, most_tokens=3)
    queue = queue_of(policy, request(1, 10), known)
    assert queue.peek() is known
    policy = Lengthwise()
    queue = queue_of(policy)
    before = policy.rank(request(9999, 10))
    for seq in range(300):
        queue.push(request(seq, 1, least_tokens=1, most_tokens=1))
        ended(policy, admitted(queue), 1)
    assert policy.rank(request(9999, 10)) == before


def test_an_answer_is_expected_within_its_limits() -> None:
    policy = Lengthwise()
    limited = request(0, 10, 500.0, most_tokens=20)
    long = request(1, 10, 2.0, least_tokens=600)
    assert policy.rank(limited) < policy.rank(request(2, 10, 100.0)) < policy.rank(long)


@pytest.mark.parametrize("aborted", [False, True])
def test_only_what_finished_is_learned(aborted: bool) -> None:
    policy = Lengthwise()
    queue = queue_of(policy)
    before = policy.rank(request(9999, 10))
    for seq in range(50):
        queue.push(request(seq, 10))
        it = admitted(queue)
        it.aborted = aborted
        ended(policy, it, 2)
    assert (policy.rank(request(9999, 10)) < before) is not aborted


def test_what_is_aborted_while_it_waits_leaves_no_work_behind() -> None:
    policy = Lengthwise()
    it = request(0, 10_000)
    queue = queue_of(policy, it, request(1, 5))
    queue.remove(it)
    policy.leave(it)
    ended(policy, admitted(queue), 5)
    assert policy._gate.backlog == 0.0
    assert not policy._known


def test_the_engine_says_how_much_memory_a_seat_has() -> None:
    # 8 prompt tokens and 200 of answer against 300 and 20.
    long, wide = request(0, 8, 200.0), request(1, 300, 20.0)
    roomy, tight = Lengthwise(), Lengthwise()
    roomy.begins(4, 0)
    tight.begins(64, 640)
    assert roomy.rank(long) < roomy.rank(wide)
    assert tight.rank(long) > tight.rank(wide)


@pytest.mark.parametrize(("spec", "most"), [("lengthwise:0", 120), ("lengthwise:0.05", 130)])
@pytest.mark.parametrize("wrapper", ["+priority", "+fair"])
def test_a_class_that_starves_another_keeps_its_own_bound(
    spec: str, most: int, wrapper: str
) -> None:
    """Were its small requests before its large one, those would starve this one, too."""
    policy = make_policy(spec + wrapper)
    policy.begins(1, 0)
    queue = waiting_queue(policy, lambda it: it)
    for seq in range(10):
        queue.push(request(seq, 500, 10.0, priority=1, tenant="other"))
    large, passed = request(30, 900, 10.0, tenant="one"), 0
    policy.observe(0.0, [])
    if isinstance(policy, Fair):
        policy.counters["other"] += 1e9  # it had more than its share
    for seq in range(10, 3000):
        # The large one comes an epoch later than those that are kept back.
        queue.push(large if seq == 30 else request(seq, 50, 1.0, tenant="one"))
        if seq == 30:
            queue.push(request(3000, 50, 1.0, tenant="one"))
        it = queue.pop()
        it.started = True
        assert it.tenant == "one"
        passed += seq >= 30
        if it is large:
            break
    assert 0 < passed <= most


@pytest.mark.parametrize("text", ["1", "-0.1", "nan", "inf", "x"])
def test_a_tolerance_outside_its_range_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match=r"lengthwise:") as caught:
        make_policy(f"lengthwise:{text}")
    assert "\n" not in str(caught.value)


def test_the_tolerance_is_its_argument() -> None:
    assert make_policy("lengthwise").tolerance == 0.05  # type: ignore[attr-defined]
    assert make_policy("lengthwise:0.2").tolerance == 0.2  # type: ignore[attr-defined]
    assert not make_policy("lengthwise+fair").needs_predictions
    assert make_policy("trail+fair").needs_predictions


@pytest.mark.parametrize("predicted", [math.nan, math.inf, 0.0, -3.0, 1e9, None])
def test_whatever_is_predicted_there_is_a_rank(predicted: float | None) -> None:
    assert math.isfinite(Lengthwise().rank(request(0, 10, predicted)))
