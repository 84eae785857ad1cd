import dataclasses
import inspect
import math

import pytest

from lengthwise.core import COMMITTED, UNPREDICTED, Policy, RankQueue, Request
from lengthwise.core.prediction import Prediction, point
from lengthwise.errors import UserError
from lengthwise.policies import POLICIES, make_policy

PREDICTING = [
    *("sjf", "ssjf", "hrrn", "ltr", "sprpt", "trail", "oracle"),
    *("boost:tokens", "tie", "gittins"),
]


def request(seq=0, predicted=None, **known):
    it = Request(f"r{seq}", arrival=float(seq), seq=seq, prompt_tokens=7, **known)
    if predicted is not None:
        it.predict(predicted)
    return it


def order(policy, requests):
    queue = RankQueue(policy.rank, lambda it: it.seq, UNPREDICTED)
    for it in requests:
        queue.push(it)
    return [it.seq for it in queue]


def test_fcfs_ranks_everybody_alike():
    policy = make_policy("fcfs")
    many = [request(0), request(1, 500.0), request(2, 1.0, started=True, generated=3)]
    assert len({policy.rank(it) for it in many}) == 1
    assert order(policy, reversed(many)) == [0, 1, 2]
    assert not any(policy.preemptible(it) or policy.may_preempt(it) for it in many)


def test_sjf_ranks_by_the_total_and_commits_whoever_started():
    policy = make_policy("sjf")
    assert policy.rank(request(predicted=40.0)) == 40.0
    running = request(predicted=40.0, started=True, generated=5)
    assert policy.rank(running) == COMMITTED
    assert not policy.preemptible(running)
    assert not policy.may_preempt(request(1, 1.0))
    assert order(policy, [request(0, 40.0), request(1, 10.0), running]) == [0, 1, 0][::-1]


def test_sprpt_ranks_by_what_is_left_at_any_age():
    policy = make_policy("sprpt")
    it = request(predicted=40.0, started=True, generated=35)
    assert policy.rank(it) == 5.0
    assert policy.preemptible(it)
    assert policy.may_preempt(request(1, 3.0))
    it.refine(60.0, at=35)
    assert policy.rank(it) == 60.0


@pytest.mark.parametrize(
    ("c", "last_interruptible"), [(0.0, None), (0.5, 19), (0.8, 31), (1.0, 39)]
)
def test_trail_may_be_interrupted_below_its_cutoff_only(c, last_interruptible):
    """The cut-off is a < C·r, with r = 40."""
    policy = make_policy(f"trail:{c}")
    interruptible = [
        age
        for age in range(60)
        if policy.preemptible(request(predicted=40.0, started=True, generated=age))
    ]
    expected = [] if last_interruptible is None else list(range(last_interruptible + 1))
    assert interruptible == expected


@pytest.mark.parametrize("c", [0.0, 0.5, 0.8, 1.0])
def test_trail_ranks_a_running_one_by_what_is_left_and_then_commits(c):
    policy = make_policy(f"trail:{c}")
    for age in range(60):
        it = request(predicted=40.0, started=True, generated=age)
        expected = it.remaining if age < c * 40 else COMMITTED
        assert policy.rank(it) == expected


def test_trails_cutoff_follows_the_first_word_of_the_probe():
    policy = make_policy("trail:0.5")
    it = request(predicted=10.0, started=True)
    it.refine(40.0, at=0)
    it.generated = 19
    it.refine(500.0, at=19)
    assert policy.preemptible(it)
    it.generated = 20
    assert not policy.preemptible(it)


def test_trails_default_c_is_the_papers():
    assert make_policy("trail").c == 0.8
    assert make_policy("trail:0.25").c == 0.25


def test_trail_evicted_after_the_cutoff_comes_back_first():
    policy = make_policy("trail:0.5")
    evicted = request(9, predicted=40.0, started=True, generated=25, preemptions=1)
    others = [request(0, 1.0), request(1), request(2, 2.0, started=True)]
    assert order(policy, [*others, evicted])[0] == 9


def test_trail_evicted_before_the_cutoff_competes():
    policy = make_policy("trail:0.5")
    evicted = request(9, predicted=40.0, started=True, generated=5, preemptions=1)
    assert order(policy, [evicted, request(0, 50.0), request(1, 20.0)]) == [1, 9, 0]


@pytest.mark.parametrize("name", PREDICTING)
@pytest.mark.parametrize("missing", [None, math.nan])
def test_without_a_prediction_arrival_decides_and_nobody_is_preempted(name, missing):
    policy = make_policy(name)
    blind = [request(seq) for seq in (3, 1, 2)]
    for it in blind:
        it.predict(missing)
    assert {policy.rank(it) for it in blind} == {UNPREDICTED}
    assert order(policy, [request(0, 5.0), *blind]) == [1, 2, 3, 0]
    assert not any(policy.may_preempt(it) for it in blind)


@pytest.mark.parametrize("name", ["sprpt", "trail", "trail-early", "gittins", "oracle"])
def test_a_running_one_without_a_prediction_keeps_its_seat(name):
    assert not make_policy(name).preemptible(request(started=True, generated=9))


def test_trail_commits_to_nobody_it_knows_nothing_of():
    assert make_policy("trail").rank(request(started=True, generated=90)) == UNPREDICTED


@pytest.mark.parametrize("name", ["sprpt", "trail:1"])
def test_ranks_of_predicted_ones_stay_above_unpredicted(name):
    it = request(predicted=3.0, started=True, generated=2)
    assert make_policy(name).rank(it) >= 1.0 > UNPREDICTED


def test_trail_early_takes_the_unprobed_first_and_then_is_trail():
    policy, trail = make_policy("trail-early:0.5"), make_policy("trail:0.5")
    unseen = request(5, predicted=500.0)
    assert policy.rank(unseen) == COMMITTED
    assert policy.may_preempt(unseen)
    assert not policy.preemptible(request(predicted=500.0, started=True))
    for age in (1, 10, 30):
        it = request(started=True)
        it.refine(40.0, at=0)
        it.generated = age
        assert policy.rank(it) == trail.rank(it)
        assert policy.preemptible(it) == trail.preemptible(it)


def test_the_oracle_is_sprpt_with_another_source():
    oracle, sprpt = make_policy("oracle"), make_policy("sprpt")
    assert (oracle.source, sprpt.source) == ("oracle", "probe")
    for age in (0, 20, 60):
        it = request(predicted=40.0, started=age > 0, generated=age)
        assert oracle.rank(it) == sprpt.rank(it)
        assert oracle.preemptible(it) == sprpt.preemptible(it)


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_policy_is_registered_under_its_own_name(name):
    policy = make_policy(name)
    assert isinstance(policy, Policy)
    assert policy.name == name
    assert policy.source in ("none", "prompt", "probe", "oracle")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nope", "unknown policy 'nope'.*trail-early"),
        ("", "unknown policy"),
        ("trail:2", "between 0 and 1"),
        ("trail:-0.1", "between 0 and 1"),
        ("trail:nan", "between 0 and 1"),
        ("trail:x", "trail:x"),
        ("fcfs:1", "takes no argument"),
        ("oracle:0.5", "takes no argument"),
    ],
)
def test_a_wrong_policy_is_one_line(spec, says):
    with pytest.raises(UserError, match=says) as caught:
        make_policy(spec)
    assert "\n" not in str(caught.value)


def test_a_request_holds_no_true_length():
    """A new field is a new thing every policy sees: it must be thought about here."""
    assert {field.name for field in dataclasses.fields(Request)} == {
        *("id", "arrival", "seq", "prompt_tokens", "generated", "started", "preemptions"),
        *("tenant", "deadline", "initial", "probed", "_remaining", "_predicted_at"),
        *("_source", "_batch", "_row"),
        *("cached_tokens", "least_tokens", "most_tokens", "aborted"),
        *("awaited", "idle_since", "promoted_at", "_promoted_until", "priority"),
        "service",
    }
    assert set(Prediction._fields) == {"tokens", "age", "source", "since", "batch", "row"}
    with pytest.raises(AttributeError):
        request().true_tokens = 5
    with pytest.raises(AttributeError):
        point(7.0, "oracle").true_tokens = 5


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_no_policy_asks_for_more_than_the_request(name):
    for method in ("rank", "key", "lane", "place", "preemptible", "may_preempt", "holds"):
        assert list(inspect.signature(getattr(POLICIES[name], method)).parameters) == [
            "self",
            "request",
        ]


@pytest.mark.parametrize("name", ["sjf", "sprpt", "trail", "tie", "gittins"])
def test_who_will_be_predicted_soon_waits_behind_the_predicted(name):
    """In a burst those scored last would have all the seats before anybody is scored."""
    policy = make_policy(name)
    early, late, scored = (request(seq=seq, predicted=None) for seq in range(3))
    early.awaited = late.awaited = True
    scored.predict(400.0)
    assert policy.rank(scored) < policy.rank(early) == policy.rank(late)
    early.predict(float("nan"))
    assert policy.rank(early) == UNPREDICTED
    late.predict(20.0)
    assert policy.rank(late) < policy.rank(scored)
