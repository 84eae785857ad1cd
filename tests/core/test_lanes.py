import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lengthwise.core.lanes import Lanes, waiting_queue
from lengthwise.core.policy import Policy
from lengthwise.core.queue import RankQueue
from lengthwise.core.request import Request
from lengthwise.policies import Bounded, Trail, make_policy


class Drifting(Policy):
    """Lanes by tenant, which move against each other; inside one, by prediction."""

    name, source, preemptive, timed = "drifting", "prompt", False, True

    def __init__(self):
        self.heights = dict.fromkeys("abc", 0.0)
        self.inside = set()

    def rank(self, request):
        return self.heights[request.tenant]

    def key(self, request):
        return (self.rank(request), request.initial)

    def lane(self, request):
        return request.tenant

    def place(self, request):
        return (request.initial,)

    def enters(self, request):
        self.inside.add(request.id)

    def exits(self, request):
        self.inside.remove(request.id)


class LanesMachine(RuleBasedStateMachine):
    """Against sorting everybody by key at every look."""

    def __init__(self):
        super().__init__()
        self.policy = Drifting()
        self.queue = Lanes(self.policy, lambda it: it)
        self.model = []
        self.made = 0

    def order(self):
        return sorted(self.model, key=lambda it: (self.policy.key(it), it.seq))

    @rule(tenant=st.sampled_from("abc"), predicted=st.integers(1, 5))
    def push(self, tenant, predicted):
        it = Request(str(self.made), 0.0, self.made, 1, tenant=tenant)
        it.predict(float(predicted))
        self.made += 1
        self.queue.push(it)
        self.model.append(it)
        with pytest.raises(ValueError, match="already queued"):
            self.queue.push(it)

    @rule(tenant=st.sampled_from("abc"), height=st.floats(-9, 9))
    def drift(self, tenant, height):
        self.policy.heights[tenant] = height

    @precondition(lambda self: self.model)
    @rule()
    def pop(self):
        best = self.order()[0]
        assert self.queue.peek() is best
        assert self.queue.pop() is best
        assert best.id not in self.policy.inside
        self.model.remove(best)

    @precondition(lambda self: self.model)
    @rule(data=st.data(), predicted=st.integers(1, 5), tenant=st.sampled_from("abc"))
    def update(self, data, predicted, tenant):
        it = data.draw(st.sampled_from(self.model))
        it.predict(float(predicted))
        it.tenant = tenant
        self.queue.update(it)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def remove(self, data):
        it = data.draw(st.sampled_from(self.model))
        self.queue.remove(it)
        self.model.remove(it)
        with pytest.raises(KeyError):
            self.queue.remove(it)

    @invariant()
    def the_order_is_the_keys_now(self):
        assert list(self.queue) == list(self.queue.in_order()) == self.order()
        assert len(self.queue) == len(self.model)
        assert all(it in self.queue for it in self.model)


TestLanes = LanesMachine.TestCase
TestLanes.settings = settings(max_examples=60, stateful_step_count=30)


def test_an_empty_queue_has_no_first():
    with pytest.raises(IndexError):
        Lanes(Drifting(), lambda it: it).pop()


def test_only_policies_that_listen_need_lanes():
    for name in ("fcfs", "spf", "trail", "mlfq", "ltr+bound", "sjf+slice:64", "trail+priority"):
        assert isinstance(waiting_queue(make_policy(name), lambda it: it), RankQueue)
    fair = ("fcfs+fair", "fcfs+fair+priority")
    for name in ("hrrn", "hrrn+bound", "boost", "tie", *fair, "magnus+slice:64"):
        assert isinstance(waiting_queue(make_policy(name), lambda it: it), Lanes)


@pytest.mark.parametrize("event", ["observe", "enters", "changes", "exits", "leave"])
def test_a_policy_listens_if_it_or_what_it_wraps_does_anything_when_told(event):
    silent = make_policy("trail")
    listening = type("Listening", (Trail,), {event: lambda self, *told: None})()
    assert not silent.listens
    assert not Bounded(silent).listens
    assert listening.listens
    assert Bounded(listening).listens
    assert type("Own", (Bounded,), {event: lambda self, *told: None})(silent).listens


class Remembering(RuleBasedStateMachine):
    """The first that was found last is still the first: against keys read at every look."""

    @initialize(
        spec=st.sampled_from(
            ["lengthwise", "lengthwise:0.4", "lengthwise+bound:9", "lengthwise+priority"]
        )
    )
    def begin(self, spec):
        self.policy = make_policy(spec)
        self.policy.begins(4, 4000)
        self.queue = waiting_queue(self.policy, lambda it: it)
        self.waiting, self.seated = [], []
        self.made = 0

    @rule(prompt=st.integers(1, 2000), priority=st.integers(0, 1))
    def push(self, prompt, priority):
        it = Request(str(self.made), 0.0, self.made, prompt, priority=priority)
        self.made += 1
        self.queue.push(it)
        self.waiting.append(it)

    @precondition(lambda self: self.waiting)
    @rule(looks=st.integers(1, 3), starts=st.booleans())
    def seat(self, looks, starts):
        taken = [self.queue.pop() for _ in range(min(looks, len(self.waiting)))]
        if not starts:
            for it in taken:
                self.queue.push(it)
            return
        for it in taken:
            it.started = True
            self.waiting.remove(it)
            self.seated.append(it)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data(), predicted=st.sampled_from([1.0, 30.0, 900.0, math.nan]))
    def predict(self, data, predicted):
        it = data.draw(st.sampled_from(self.waiting))
        it.predict(predicted)
        self.queue.update(it)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def promote(self, data):
        it = data.draw(st.sampled_from(self.waiting))
        it.promote(float(self.made), 20)
        self.queue.update(it)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data):
        it = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(it)
        self.queue.remove(it)
        if self.waiting:
            self.queue.peek()
        it.aborted = True
        self.policy.leave(it)

    @precondition(lambda self: self.seated)
    @rule(data=st.data(), tokens=st.integers(1, 900), finishes=st.booleans())
    def serve(self, data, tokens, finishes):
        it = data.draw(st.sampled_from(self.seated))
        self.seated.remove(it)
        it.generated += tokens
        if finishes:
            self.policy.leave(it)
        else:
            self.queue.push(it)
            self.waiting.append(it)

    @invariant()
    def the_first_is_the_first_now(self):
        for _ in range(2 if getattr(self, "waiting", None) else 0):
            best = min(self.waiting, key=lambda it: (self.policy.key(it), it.seq))
            assert self.queue.peek() is best


def test_a_committed_request_that_is_promoted_is_still_first():
    policy = make_policy("lengthwise+bound:9")
    policy.begins(4, 4000)
    queue = waiting_queue(policy, lambda it: it)
    evicted, promoted = (Request(str(i), 0.0, i, 1) for i in range(2))
    for it in (evicted, promoted):
        queue.push(it)
    assert queue.pop() is evicted
    evicted.started = True
    queue.push(evicted)
    for now, it in enumerate((promoted, evicted)):
        it.promote(float(now), 20)
        queue.update(it)
    assert queue.pop() is evicted


TestRemembering = Remembering.TestCase
TestRemembering.settings = settings(max_examples=100, stateful_step_count=40)


def test_a_look_reads_keys_again_only_if_something_changed(monkeypatch):
    policy, looks = make_policy("lengthwise+priority"), []
    queue = waiting_queue(policy, lambda it: it)
    requests = [Request(str(i), 0.0, i, 1000 * 2**i) for i in range(4)]
    for it in requests:
        queue.push(it)
    key = policy.key
    monkeypatch.setattr(policy, "key", lambda it: looks.append(it.id) or key(it))
    assert [queue.peek() for _ in range(5)] == [requests[0]] * 5
    assert len(looks) == 4
    assert queue.pop() is requests[0]
    requests[0].started = True
    policy.leave(requests[0])
    assert queue.peek() is requests[1]
    assert len(looks) == 7
    # A wrapper whose keys move with the clock has no version.
    assert make_policy("lengthwise").version is not None
    assert make_policy("lengthwise+fair").version is None
    assert make_policy("hrrn+priority").version is None


def test_the_first_is_asked_about_once_each_time_that_it_is_the_first():
    """Of a policy whose lanes are work: what is found out at the head moves a request."""
    policy, asked, found = make_policy("lengthwise"), [], {}

    def ask(it):
        asked.append(it.id)
        before, it.cached_tokens = it.cached_tokens, found.get(it.id, it.cached_tokens)
        return it.cached_tokens != before

    queue = waiting_queue(policy, lambda it: it, ask)
    small, large = Request("small", 0.0, 0, 900, cached_tokens=600), Request("large", 0.0, 1, 700)
    for it in (small, large):
        queue.push(it)
    assert [queue.peek() for _ in range(3)] == [small] * 3
    assert asked == ["small"]
    # A look gave its place away and back: it has stayed the first.
    assert queue.pop() is small
    queue.push(small)
    assert queue.peek() is small
    assert asked == ["small"]
    tiny = Request("tiny", 0.0, 2, 1)
    queue.push(tiny)
    assert queue.pop() is tiny
    found["small"] = 0
    assert queue.pop() is large
    assert asked == ["small", "tiny", "small", "large"]
    assert queue.pop() is small


def test_a_look_asks_about_a_few_only():
    """A cache that lost all prefixes at once holds nobody up."""
    policy, asked = make_policy("lengthwise"), []

    def ask(it):
        asked.append(it.id)
        lost, it.cached_tokens = it.cached_tokens > 0, 0
        return lost

    queue = waiting_queue(policy, lambda it: it, ask)
    for i in range(100):
        queue.push(Request(str(i), 0.0, i, 2000, cached_tokens=1990))
    queue.peek()
    assert len(asked) == 16
    assert len([queue.pop() for _ in range(100)]) == 100


class Fading(Drifting):
    """Requests leave their lane for a last one when their time is over, the oldest first."""

    def __init__(self):
        super().__init__()
        self.now = 0
        self.over = set()
        self.seen = False

    def shifted(self):
        seen, self.seen = self.seen, False
        return seen

    def key(self, request):
        if self.lane(request) == "over" and request.id not in self.over:
            self.over.add(request.id)
            self.seen = True
        over = self.lane(request) == "over"
        return (1.0, 0.0) if over else (0.0, self.heights[request.tenant])

    def lane(self, request):
        return "over" if request.arrival < self.now else request.tenant

    def place(self, request):
        return ()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), max_size=30), st.data())
def test_requests_move_to_another_lane_by_themselves(arrivals, data):
    policy = Fading()
    queue = Lanes(policy, lambda it: it)
    clock, model = 0, []
    for seq, (tenant, gap) in enumerate(arrivals):
        clock += gap
        it = Request(str(seq), float(clock), seq, 1, tenant=tenant)
        queue.push(it)
        model.append(it)
        policy.now = max(policy.now, clock - data.draw(st.integers(0, 5)))
        if data.draw(st.booleans()):
            policy.heights[tenant] += 1
            expected = min(model, key=lambda each: (policy.key(each), each.seq))
            assert queue.peek() is expected
            if data.draw(st.booleans()):
                assert queue.pop() is expected
                model.remove(expected)
        assert len(queue) == len(model)
    while model:
        expected = min(model, key=lambda each: (policy.key(each), each.seq))
        assert queue.pop() is expected
        model.remove(expected)
    assert not queue
