"""Foresight: what requests will hold together, and who may be admitted with them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lengthwise.core.engine import NOBODY, Ahead
from lengthwise.core.foresight import Footprint, Foresight, fit
from lengthwise.core.lanes import Lanes
from lengthwise.core.policy import Policy, Source
from lengthwise.core.request import Request

FOOTPRINTS = st.lists(
    st.builds(Footprint, st.integers(0, 30).map(float), st.integers(1, 40).map(float)),
    min_size=1,
    max_size=8,
)


class Told(Policy):
    """Order of arrival in lanes by tenant; what it expects is what was predicted in all."""

    name = "told"
    source: Source = "prompt"
    preemptive = False
    timed = True
    foresees = True
    overtakes = True

    def rank(self, request: Request) -> float:
        return float(request.seq)

    def lane(self, request: Request) -> str | None:
        return request.tenant

    def expected(self, request: Request) -> float:
        return (request.initial or 0.0) - request.generated

    def may_overtake(self, request: Request) -> bool:
        return self.overtakes


@dataclass(eq=False)
class Engine:
    """Memory of so many tokens in blocks of one; everybody's tokens are computed."""

    kv_tokens: int
    policy: Told = field(default_factory=Told)
    running: list[Request] = field(default_factory=list)
    block_tokens: float = 1.0
    reserve: int = 0
    seats: int = 9
    slots: int = 9
    step_blocks: int = 9
    ahead: Ahead = NOBODY
    step: int = 0
    now: float = 0.0
    shared: int = 0
    pending: int = 0
    common: int = 0

    def __post_init__(self) -> None:
        self.waiting: Lanes[Request] = Lanes(self.policy, lambda request: request)
        self.foresight: Foresight[Request] = Foresight(self, self.policy, [])

    def view(self, request: Request) -> Request:
        return request

    def admissible(self, request: Request, promised: Sequence[Request] = ()) -> bool:
        return request.tenant != "not ready"

    def starts(self, request: Request, *beside: object) -> bool:
        return True

    def sits(self, request: Request) -> bool:
        return True

    def coming_blocks(self) -> int:
        return 0

    def free_blocks(self) -> int:
        held = sum(each.prompt_tokens + each.generated for each in self.running)
        return self.kv_tokens - held + self.shared + self.pending

    def freed_blocks(self, requests: Sequence[Request]) -> int:
        return sum(each.prompt_tokens + each.generated for each in requests)

    def needed_blocks(self, request: Request) -> int:
        return self.freed_blocks([request]) + 1

    def growth_blocks(self, seated: Sequence[Request]) -> int:
        return len(seated)

    def pending_tokens(self, request: Request) -> int:
        return self.pending // len(self.running)

    def shared_tokens(self, request: Request) -> int:
        return self.common if self.running else 0

    def evict(self, request: Request) -> None:
        raise AssertionError("nobody is evicted here")


def request(seq: int, prompt: int, answer: float, tenant: str | None = None) -> Request:
    it = Request(str(seq), 0.0, seq, prompt, tenant=tenant)
    it.predict(answer)
    return it


def next_of(engine: Engine, *waiting: Request) -> Request | None:
    for it in waiting:
        engine.waiting.push(it)
    return engine.foresight.next()


@given(FOOTPRINTS)
def test_requests_fit_if_the_most_that_is_held_in_any_step_does(requests: list[Footprint]) -> None:
    """A request holds its last token until it ends, and then nothing."""
    most = max(
        sum(held + step for left, held in requests if step <= left)
        for step in range(int(max(left for left, _ in requests)) + 1)
    )
    assert fit(requests, most)
    assert not fit(requests, most - 0.5)


def test_a_request_waits_for_memory_that_those_who_run_will_need() -> None:
    # The one that runs ends with 90 tokens, when the other would have 20 + 30.
    engine = Engine(100, running=[request(0, 60, 30)])
    other = request(1, 20, 40)
    assert next_of(engine, other) is None
    engine.foresight.refused = False
    engine.running[0].generated = 25
    # Now it ends with 90 after 5 more, when the other has 20 + 5; too much still.
    assert engine.foresight.next() is None
    engine.foresight.refused = False
    engine.running[0].generated = 30
    engine.running.pop()
    assert engine.foresight.next() is other


def test_one_that_ends_before_the_others_grow_is_admitted() -> None:
    engine = Engine(100, running=[request(0, 60, 30)])
    small = request(1, 10, 4)
    # After 4 tokens 64 + 14, and at the end 90.
    assert next_of(engine, small) is small


def test_whoever_is_alone_is_admitted_whatever_is_expected() -> None:
    for answer in (1e9, math.inf, math.nan, 0.0):
        engine = Engine(100)
        huge = request(0, 90, answer)
        assert next_of(engine, huge) is huge


def test_overdue_requests_count_with_what_they_hold() -> None:
    overdue = request(0, 40, 5)
    overdue.generated = 20
    engine = Engine(100, running=[overdue])
    assert next_of(engine, request(1, 45, 5)) is None
    fits = request(2, 30, 5)
    assert engine.foresight.lasts(fits, engine.running)


def test_a_request_that_the_engine_passes_over_keeps_nobody() -> None:
    engine = Engine(100, running=[request(0, 60, 30)])
    blocked = request(1, 90, 90, "not ready")
    assert next_of(engine, blocked) is blocked


def test_another_goes_first_only_if_the_first_can_still_come_in_its_time() -> None:
    # The first can come when 80 tokens are free again, after 10 steps.
    engine = Engine(100, running=[request(0, 60, 10)])
    large, brief = request(1, 70, 10), request(2, 10, 8, "brief")
    assert next_of(engine, large, brief) is brief
    engine = Engine(100, running=[request(0, 60, 10)])
    assert next_of(engine, large, request(3, 10, 40, "long")) is None


def test_none_goes_before_the_first_if_the_policy_promised_otherwise() -> None:
    policy = Told()
    policy.overtakes = False
    engine = Engine(100, policy, running=[request(0, 60, 10)])
    assert next_of(engine, request(1, 70, 10), request(2, 10, 8, "brief")) is None


def test_after_a_refusal_nothing_is_looked_at_until_something_changes() -> None:
    engine = Engine(100, running=[request(0, 60, 30)])
    assert next_of(engine, request(1, 20, 40)) is None
    ended = engine.running.pop()
    assert engine.foresight.next() is None
    engine.foresight.gone(ended)
    assert engine.foresight.next() is not None


def test_those_that_share_a_prefix_hold_less_than_all_their_tokens() -> None:
    engine = Engine(100, running=[request(0, 60, 0), request(1, 60, 0)], shared=60)
    fits = request(2, 25, 5)
    assert next_of(engine, fits) is fits


def test_memory_that_nobody_in_a_seat_holds_is_not_there() -> None:
    engine = Engine(100, running=[request(0, 40, 5)], shared=-40)
    assert next_of(engine, request(1, 20, 5)) is None


def test_what_others_hold_of_a_request_is_not_held_again() -> None:
    engine = Engine(100, running=[request(0, 60, 10)], common=50)
    fits = request(2, 70, 5)
    assert next_of(engine, fits) is fits


def test_prompts_that_are_not_computed_yet_count() -> None:
    engine = Engine(100, running=[request(0, 60, 10)], pending=50)
    assert next_of(engine, request(1, 40, 10)) is None


def test_what_was_evicted_is_kept_free_and_given_back() -> None:
    engine = Engine(905, running=[request(i, 300, 10) for i in range(3)])
    victim = engine.running.pop()
    engine.foresight.evicted(victim)
    # Half of a block more than its tokens.
    assert engine.foresight.kept == 300.5
    engine.foresight.gone(victim)
    assert engine.foresight.kept == pytest.approx(300.5 * (1 - 300.5 / 905))


def test_in_balance_as_much_is_kept_free_as_evictions_lose() -> None:
    engine = Engine(10_000, running=[request(0, 9_990, 0)])
    foresight, small = engine.foresight, request(1, 100, 0)
    shares = []
    for number in range(20_000):
        if number % 20 == 0:
            engine.running[0].generated = 100
            foresight.evicted(small)
        foresight.gone(small)
        shares.append(foresight.kept / 10_000)
    # One token is lost for twenty that are served.
    assert sum(shares[10_000:]) / 10_000 == pytest.approx(1 / 20, rel=0.02)


def test_giving_up_memory_that_nobody_needed_is_no_failure() -> None:
    engine = Engine(1000, running=[request(0, 300, 10)])
    victim = engine.running.pop()
    engine.foresight.evicted(victim)
    assert engine.foresight.kept == 0.0


def test_at_most_half_of_the_memory_is_kept_free() -> None:
    engine = Engine(1000, running=[request(0, 995, 0)])
    victim = engine.running.pop()
    for _ in range(9):
        engine.foresight.evicted(victim)
    assert engine.foresight.kept == 500.0


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(0, 60), st.integers(0, 9)), max_size=40))
def test_what_is_plenty_by_the_last_sum_is_plenty(arrivals: list[tuple[int, int, int]]) -> None:
    """Accepted without a look at each: then all together have room, however long they go on."""
    engine = Engine(2000, seats=40)
    for number, (prompt, answer, steps) in enumerate(arrivals):
        new = request(number, prompt, answer)
        fits = fit([Footprint(answer, prompt + 0.5), *map(footprint, engine.running)], 2000)
        assert engine.foresight.lasts(new, engine.running) == fits
        engine.running.append(new)
        engine.step += steps
        for each in engine.running:
            each.generated += steps


def footprint(each: Request) -> Footprint:
    left = max((each.initial or 0.0) - each.generated, 0.0)
    return Footprint(left, each.prompt_tokens + each.generated + 0.5)


def test_where_memory_is_plenty_nobody_is_looked_at_again() -> None:
    engine = Engine(100_000, running=[request(i, 50, 20) for i in range(8)])
    looks, expected = [], engine.policy.expected
    engine.policy.expected = lambda each: looks.append(each.id) or expected(each)  # type: ignore
    for number in range(10, 20):
        assert engine.foresight.lasts(request(number, 50, 20), engine.running)
        engine.step += 1
    # The first look reads all, each of the others the new one.
    assert len(looks) <= 8 + 2 * 10


def test_without_a_free_seat_memory_is_not_looked_at() -> None:
    """At 256 seats a look took a third as long as all of vLLM's own schedule()."""
    expected: list[int] = []

    class Noting(Told):
        def expected(self, request: Request) -> float:
            expected.append(request.seq)
            return super().expected(request)

    engine = Engine(20, Noting(), [request(0, 6, 2)], seats=1)
    assert next_of(engine, request(1, 4, 2)) is None
    assert expected == []
    assert not engine.foresight.refused
    engine.running.clear()
    head = engine.foresight.next()
    assert head is not None
    assert head.seq == 1
