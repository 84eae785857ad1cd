import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

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
        assert list(self.queue) == self.order()
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
