"""Properties of the seating, on a small engine of requests and blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.engine import NOBODY
from lengthwise.core.lanes import waiting_queue
from lengthwise.core.policy import LAST, Key
from lengthwise.core.request import Request
from lengthwise.core.seats import LOOK_EVERY, UNLIMITED, Seats
from lengthwise.core.watcher import Watcher
from lengthwise.policies import Trail, make_policy

SEATS = 3
BLOCK = 8
LENGTH = 40


@dataclass(eq=False)
class Job:
    """A request in the engine: its tokens and the blocks it holds."""

    id: str
    tokens: int
    generated: int = 0
    blocks: int = 0


class Told(Watcher[Job]):
    """Keeps who is paused, as it is told; those who go are told elsewhere."""

    def __init__(self) -> None:
        self.now: list[Job] = []
        self.winners: list[tuple[Job, Job | None]] = []
        self.starved = 0

    def paused(self, request: Job, winner: Job | None) -> None:
        assert request not in self.now
        self.now.append(request)
        self.winners.append((request, winner))

    def resumed(self, request: Job) -> None:
        self.now.remove(request)

    def promoted(self, request: Job) -> None:
        self.starved += 1


class SmallEngine:
    """Seats and blocks as the protocol has them; steps give every seated job a token."""

    seats, slots = SEATS, UNLIMITED
    ahead, reserve, step_blocks = NOBODY, 0, SEATS + 8
    kv_tokens, block_tokens = 0, float(BLOCK)

    def __init__(
        self,
        blocks: int,
        policy: Any,
        pause: bool = True,
        margin: float = 0.0,
        look_every: int | None = LOOK_EVERY,
    ) -> None:
        self.blocks = blocks
        self.views: dict[str, Request] = {}
        self.running: list[Job] = []
        self.waiting = waiting_queue(policy, self.view)
        self.told = Told()
        self.seating: Seats[Job] = Seats(
            self, policy, pause, margin, look_every=look_every, watcher=self.told
        )
        self.step_count = 0
        self.evicted = 0
        self.victims_beside_paused = 0

    @property
    def step(self) -> int:
        return self.step_count

    @property
    def now(self) -> float:
        return self.step_count / 10

    def view(self, job: Job) -> Request:
        view = self.views[job.id]
        view.generated = job.generated
        return view

    def admissible(self, job: Job, promised: Sequence[Job] = ()) -> bool:
        return not job.id.startswith("blocked")

    def starts(self, job: Job, *beside: object) -> bool:
        return True

    def sits(self, job: Job) -> bool:
        return True

    def coming_blocks(self) -> int:
        return 0

    def free_blocks(self) -> int:
        held = [*self.running, *self.seating.paused]
        return self.blocks - sum(job.blocks for job in {job.id: job for job in held}.values())

    def freed_blocks(self, jobs: Sequence[Job]) -> int:
        return sum(job.blocks for job in jobs)

    def growth_blocks(self, seated: Sequence[Job]) -> int:
        return sum(max(self.lacks(job), 0) for job in seated)

    def needed_blocks(self, job: Job) -> int:
        return -(-(job.tokens + 1) // BLOCK)

    def pending_tokens(self, job: Job) -> int:
        return 0

    def shared_tokens(self, job: Job) -> int:
        return 0

    def evict(self, job: Job) -> None:
        assert job not in self.seating.paused
        self.told.now = [each for each in self.told.now if each is not job]
        job.blocks = 0
        self.evicted += 1
        self.waiting.push(job)
        self.seating.idle(job)

    def arrive(self, i: int, predicted: float | None, prompt: int, name: str = "r") -> None:
        view = Request(f"{name}{i}", float(i), i, prompt)
        view.predict(predicted)
        self.views[view.id] = view
        job = Job(view.id, prompt)
        self.waiting.push(job)
        self.seating.idle(job)

    def serve(self) -> None:
        """Blocks for those who sit, victims from the tail, then admission, as in vLLM."""
        for job in list(self.running):
            while job in self.running and self.lacks(job) > self.free_blocks():
                self.victims_beside_paused += bool(self.seating.paused)
                self.evict(self.running.pop())
            if job in self.running:
                job.blocks = max(self.needed_blocks(job), job.blocks)
        skipped = []
        while self.waiting and len(self.running) < SEATS:
            job = self.waiting.peek()
            if not self.admissible(job):
                skipped.append(self.waiting.pop())
                continue
            if self.lacks(job) > self.free_blocks():
                break
            self.waiting.pop()
            job.blocks = self.needed_blocks(job)
            self.running.append(job)
            self.views[job.id].started = True
        for job in skipped:
            self.waiting.push(job)
        self.step_count += 1
        for job in self.running:
            job.tokens += 1
            job.generated += 1
        for job in list(self.running):
            if job.generated >= LENGTH:
                self.finish(job)

    def lacks(self, job: Job) -> int:
        return self.needed_blocks(job) - job.blocks

    def finish(self, job: Job) -> None:
        """Finished or aborted: out of the list and freed."""
        if job in self.running:
            self.running.remove(job)
        self.told.now = [each for each in self.told.now if each is not job]
        self.seating.gone(job)

    def look(self, news: bool = False) -> None:
        self.seating.unsettled |= news
        self.seating.step()


arrivals = st.lists(
    st.tuples(
        st.integers(0, 3),  # steps until the next arrival
        st.one_of(st.none(), st.floats(1, 400)),
        st.integers(1, 60),
    ),
    min_size=1,
    max_size=25,
)


def play(engine: SmallEngine, plan: list[Any]) -> Any:
    """Arrivals and steps in turn; yields before each step, after the seating."""
    for i, (gap, predicted, prompt) in enumerate(plan):
        engine.arrive(i, predicted, prompt)
        for _ in range(gap):
            before = {job.id for job in engine.running}
            engine.look(news=True)
            yield before
            engine.serve()


@settings(max_examples=60)
@given(plan=arrivals, blocks=st.integers(20, 60))
def test_the_watcher_is_told_of_every_pause_and_its_winner(plan: Any, blocks: int) -> None:
    engine = SmallEngine(blocks, make_policy("trail:1+bound:4:2"))
    for _ in play(engine, plan):
        assert ids(engine.told.now) == ids(engine.seating.paused)
    assert len(engine.told.winners) == engine.seating.pauses
    for loser, winner in engine.told.winners:
        assert winner is not None
        assert winner is not loser


def ids(jobs: Any) -> set[str]:
    return {job.id for job in jobs}


POLICIES = ["sprpt", "trail:0", "trail:0.5", "trail:1", "trail+bound:4:2", "sprpt+bound:2:1"]


@settings(max_examples=200)
@given(arrivals, st.sampled_from(POLICIES))
def test_seats_go_to_the_best_and_are_never_idle(plan: Any, name: str) -> None:
    policy = make_policy(name)
    engine = SmallEngine(10_000, policy)
    for before in play(engine, plan):
        paused = engine.seating.paused
        assert len(engine.running) <= SEATS
        # Work conservation: nobody is left paused while a seat is free for admission.
        admitted = min(SEATS - len(engine.running), len(engine.waiting))
        everybody = len(engine.running) + len(paused) + len(engine.waiting)
        assert len(engine.running) + admitted == min(SEATS, everybody)
        assert not engine.evicted
        assert len(paused) <= policy.paused_per_seat * SEATS
        for request_id in before - ids(engine.running):
            assert policy.preemptible(engine.views[request_id]), "a committed one lost its seat"
        if len(paused) < policy.paused_per_seat * SEATS and len(engine.running) == SEATS:
            outside = [engine.views[job.id] for job in [*paused, *list(engine.waiting)[:1]]]
            keys = [policy.key(view) for view in outside if policy.may_preempt(view)]
            best = min(keys, default=LAST)
            for job in engine.running:
                view = engine.views[job.id]
                assert policy.key(view) <= best or not policy.preemptible(view)


@settings(max_examples=150)
@given(arrivals, st.integers(14, 40), st.booleans(), st.sampled_from(["trail", POLICIES[-2]]))
def test_scarce_memory_is_never_overdrawn_and_nobody_is_lost(
    plan: Any, blocks: int, pause: bool, name: str
) -> None:
    engine = SmallEngine(blocks, make_policy(name), pause, margin=8.0)
    for _ in play(engine, plan):
        paused = ids(engine.seating.paused)
        assert engine.free_blocks() >= 0
        assert len(engine.running) <= SEATS
        assert pause or not paused
        known = ids(engine.running) | ids(engine.waiting) | paused
        finished = {i for i, view in engine.views.items() if view.started and i not in known}
        assert len(known) + len(finished) == len(engine.views)
    for _ in range(LENGTH * len(plan) + LENGTH):
        engine.look(news=True)
        engine.serve()
    assert not engine.running
    assert not engine.waiting
    assert not engine.victims_beside_paused, "an active request fell while a paused one kept its"


@settings(max_examples=100)
@given(arrivals, st.data())
def test_an_aborted_request_leaves_no_trace(plan: Any, data: Any) -> None:
    engine = SmallEngine(10_000, make_policy("trail"))
    aborted: set[str] = set()
    for _ in play(engine, plan):
        assert not aborted & (ids(engine.seating.paused) | ids(engine.running))
        if engine.running:
            gone = data.draw(st.sampled_from([*engine.running, *engine.seating.paused]))
            engine.finish(gone)
            aborted.add(gone.id)


def test_a_request_that_cannot_be_admitted_now_blocks_nobody() -> None:
    engine = SmallEngine(10_000, make_policy("trail"))
    engine.arrive(0, 5.0, 4, name="blocked")
    for i in range(1, 5):
        engine.arrive(i, 100.0 + i, 4)
    for _ in range(3):
        engine.look(news=True)
        engine.serve()
    assert ids(engine.running) == {"r1", "r2", "r3"}
    assert ids(engine.waiting) == {"blocked0", "r4"}


@settings(max_examples=100)
@given(arrivals)
def test_looking_now_and_then_leaves_no_seat_empty(plan: Any) -> None:
    engine = SmallEngine(10_000, make_policy("trail"))
    plan = [*plan, (LENGTH * (len(plan) + 1), None, 1)]
    for i, (gap, predicted, prompt) in enumerate(plan):
        engine.arrive(i, predicted, prompt)
        for _ in range(gap):
            free = len(engine.running) < SEATS
            engine.look()
            if free:
                admitted = min(SEATS - len(engine.running), len(engine.waiting))
                outside = len(engine.waiting) + len(engine.seating.paused)
                everybody = len(engine.running) + outside
                assert len(engine.running) + admitted == min(SEATS, everybody)
            engine.serve()
    assert not engine.running
    assert not engine.waiting


@settings(max_examples=100)
@given(arrivals, st.integers(14, 40))
def test_looking_now_and_then_lets_nobody_fall_beside_a_paused_one(plan: Any, blocks: int) -> None:
    engine = SmallEngine(blocks, make_policy("trail"))
    for i, (gap, predicted, prompt) in enumerate([*plan, (LENGTH * (len(plan) + 1), None, 1)]):
        engine.arrive(i, predicted, prompt)
        for _ in range(gap):
            engine.look()
            engine.serve()
    assert not engine.victims_beside_paused


def test_a_better_request_is_seated_at_once_if_it_is_news_else_at_the_next_look() -> None:
    def steps_until_seated(news: bool) -> int:
        engine = SmallEngine(10_000, make_policy("trail"))
        for i in range(SEATS):
            engine.arrive(i, 300.0, 4)
        engine.look(news=True)
        engine.serve()
        engine.look()
        engine.serve()
        engine.arrive(9, 5.0, 4)
        for step in range(1, 10):
            engine.look(news)
            engine.serve()
            if "r9" in ids(engine.running):
                return step
        return 99

    assert steps_until_seated(news=True) == 1
    assert 1 < steps_until_seated(news=False) <= LOOK_EVERY


def test_who_is_paused_for_the_threshold_gets_a_seat_back_for_its_quantum() -> None:
    engine = SmallEngine(10_000, make_policy("sprpt+bound:6:3"))
    engine.arrive(0, 400.0, 4)
    for _ in range(2):
        engine.look()
        engine.serve()
    for i in range(1, 2 * SEATS + 1):
        engine.arrive(i, 100.0, 4)
    seated = []
    for _ in range(20):
        engine.look(news=not seated)
        seated.append("r0" in ids(engine.running))
        engine.serve()
    assert seated[:6] == [False] * 6
    first = seated.index(True)
    assert first <= 7
    assert all(seated[first : first + 3])
    assert not all(seated[first:])


class Watched(Trail):
    """Notes its events, and counts how often it is asked for a key."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.told: list[tuple[str, Any]] = []

    def key(self, request: Request) -> Key:
        self.asked += 1
        return super().key(request)

    def observe(self, now: float, running: Iterable[Request]) -> None:
        self.told.append(("observe", [view.id for view in running]))

    def enters(self, request: Request) -> None:
        self.told.append(("enters", request.id))

    def exits(self, request: Request) -> None:
        self.told.append(("exits", request.id))

    def leave(self, request: Request) -> None:
        self.told.append(("leave", request.id))


def test_the_next_look_is_announced() -> None:
    """Predictions are asked for in the step before: they must be there in time."""
    policy = Watched()
    engine = SmallEngine(10_000, policy)
    for i in range(SEATS + 2):
        engine.arrive(i, 300.0 + i, 4)
    looks = 0
    for _ in range(3 * LOOK_EVERY):
        announced, before = engine.seating.looks_next, policy.asked
        engine.look()
        assert announced <= (policy.asked > before)
        looks += policy.asked > before
        engine.serve()
    assert looks < 3 * LOOK_EVERY


@settings(max_examples=100, deadline=None)
@given(arrivals, st.integers(14, 40))
def test_a_policy_that_is_not_timed_is_told_everything(plan: Any, blocks: int) -> None:
    policy = Watched()
    engine = SmallEngine(blocks, policy)
    for before in play(engine, [*plan, (LENGTH * (len(plan) + 1), None, 1)]):
        seated = [told for event, told in policy.told if event == "observe"][-1]
        assert set(seated) == before
    for name in engine.views:
        events = [event for event, told in policy.told if told == name]
        assert events == ["enters", "exits"] * (len(events) // 2) + ["leave"]


def test_an_engine_that_says_what_is_new_is_not_looked_at_otherwise() -> None:
    policy = Watched()
    engine = SmallEngine(10_000, policy, look_every=None)
    for i in range(SEATS):
        engine.arrive(i, 300.0, 4)
    engine.look()
    engine.serve()
    engine.arrive(9, 5.0, 4)
    before = policy.asked
    for _ in range(3 * LOOK_EVERY):
        engine.look()
        engine.serve()
    assert policy.asked == before
    engine.look(news=True)
    engine.serve()
    assert "r9" in ids(engine.running)
    assert len(engine.seating.paused) == 1


def test_a_seat_that_is_free_in_every_step_makes_no_looks() -> None:
    """Where hundreds sit, one ends in nearly every step: looks and predictions keep their pace."""
    policy = Watched()
    engine = SmallEngine(10_000, policy)
    for i in range(12 * SEATS):
        engine.arrive(i, 300.0 + i, 4)
    looks = announced = 0
    for _ in range(6 * LOOK_EVERY):
        soon, before = engine.seating.looks_next, policy.asked
        engine.look()
        looks += policy.asked > before
        announced += soon
        engine.serve()
        engine.finish(engine.running[0])
        assert len(engine.running) == SEATS - 1
    assert looks == announced == 6
