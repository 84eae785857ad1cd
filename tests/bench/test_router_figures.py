import numpy as np
import pytest

from lengthwise.bench.client import Known, Routed
from lengthwise.bench.router_figures import balance, capacity
from lengthwise.bench.router_figures import routed as parts
from lengthwise.errors import UserError
from lengthwise.results.record import Labels, Run
from lengthwise.results.tables import show_routers

KNOWN = Known(predictions=2, resubmitted=1)


def routed(*given):
    """The figures, by name."""
    labels = Labels(policy="fcfs", engine="made", model="made", rate=1.0, seed=0)
    return Run.of(labels, *parts(*given))


def timing(id_, arrival, first, finish, tokens, replica):
    """Tokens at even distances; one token is the first and the last."""
    it = Routed(id_, arrival, replica=replica, sent=arrival + 0.25)
    for n, now in enumerate(np.linspace(first, finish, tokens), 1):
        it.saw(float(now), list(range(n)), n == tokens)
    return it


def test_capacity_is_the_sum_of_what_full_replicas_finish():
    # One seat each: a token a second, and the second request starts when the first ends.
    timings = [
        *(timing(f"a{i}", 0.0, 1.0 + 4 * i, 4.0 + 4 * i, 4, "a") for i in range(3)),
        *(timing(f"b{i}", 0.0, 0.5 + 2 * i, 2.0 + 2 * i, 4, "b") for i in range(3)),
    ]
    alone = capacity(timings[:3], 1), capacity(timings[3:], 1)
    assert alone[1] == pytest.approx(2 * alone[0])
    assert capacity(timings, 1) == pytest.approx(sum(alone))


def test_a_burst_with_a_seat_for_everybody_shows_no_capacity():
    timings = [timing("x", 0.0, 1.0, 2.0, 2, "a"), timing("y", 0.0, 1.0, 2.0, 2, "b")]
    with pytest.raises(UserError, match="had a seat at once"):
        capacity(timings, 1)


def test_figures_say_who_served_and_what_was_predicted():
    lost = Routed("z", 1.0, error="gone")
    timings = [timing("x", 0.0, 1.0, 3.0, 3, "a"), timing("y", 0.0, 1.0, 5.0, 3, "a"), lost]
    found = routed(timings, KNOWN, 2, 2)
    assert (found["requests"], found["finished"], found["failed"]) == (3, 2, 1)
    assert found["by_replica"] == {"a": 2}
    assert (found["predictions"], found["resubmitted"]) == (2, 1)
    assert (found["mean_latency_s"], found["until_s"]) == (4.0, 5.0)
    assert found["latest_send_s"] == 0.25


def test_a_replica_that_served_nobody_counts_in_the_balance():
    timings = [timing("x", 0.0, 0.0, 10.0, 11, "a"), timing("y", 9.0, 9.5, 10.0, 2, "a")]
    # All on one of two: the deviation is the mean.
    assert balance(timings, ["a", ""]).work == pytest.approx(1.0)
    assert routed(timings, KNOWN, 2, None)["work_imbalance"] == pytest.approx(1.0)


def test_equal_loads_are_in_balance():
    timings = [
        timing(f"{r}{i}", 2.0 * i, 2.0 * i, 2.0 * i + 4, 5, r) for r in "ab" for i in range(4)
    ]
    found = balance(timings, ["a", "b"])
    assert (found.work, found.seats) == (0.0, 0.0)
    # Two at a time, but for the first two seconds of six.
    assert found.busy == pytest.approx(5 / 3, abs=0.05)


def run(router, repeat, mean, p99):
    return Run(
        policy="fcfs",
        predictors=None,
        engine="made",
        model="made",
        rate=2.0,
        seed=repeat,
        router=router,
        repeat=repeat,
        requests=9,
        finished=9,
        mean_latency_s=mean,
        p99_latency_s=p99,
        mean_ttft_s=1.0,
        max_waiting_s=3.0,
        work_imbalance=0.5,
        other_answers=1,
        failed=0,
    )


def test_changes_are_paired_by_repeat_and_have_an_interval(capsys):
    runs = [
        *(run("round-robin", repeat, 10.0 * repeat, 100.0) for repeat in (1, 2)),
        *(run("predicted", repeat, 9.0 * repeat, 50.0 + 10 * repeat) for repeat in (1, 2)),
    ]
    show_routers(runs)
    printed = capsys.readouterr().out
    line = next(line for line in printed.splitlines() if "predicted" in line)
    # The mean fell by 10 % in both; p99 by 40 and 30 %: t(0.975, 1) · 5 = 63.5.
    assert "-10.0 % ±0.0" in line
    assert "-35.0 % ±63.5" in line
    first = next(line for line in printed.splitlines() if "round-robin" in line)
    assert "%" not in first


def test_one_repeat_has_no_interval(capsys):
    show_routers([run("round-robin", 0, 10.0, 20.0), run("predicted", 0, 9.0, 10.0)])
    printed = capsys.readouterr().out
    assert "-50.0 %" in printed
    assert "±" not in printed
