import json

import pytest

from lengthwise.metrics.counters import Costs
from lengthwise.results.timings import FIELDS, Life, figures

LABELS = {"policy", "engine", "model", "rate", "seats", "seed"}


def life(id_, arrival, *moments):
    """One token at each moment; finished at the last."""
    it = Life(id_, arrival)
    for n, now in enumerate(moments, 1):
        it.saw(now, list(range(n)), finished=n == len(moments))
    return it


def test_a_life_knows_its_latency_first_token_and_longest_wait():
    it = life("a", 1.0, 1.5, 1.75, 4.0, 4.25)
    assert (it.latency, it.ttft, it.waiting) == (3.25, 0.5, 2.25)
    assert (it.tokens, it.answer) == (4, [0, 1, 2, 3])


def test_the_wait_for_the_first_token_counts_too():
    assert life("a", 0.0, 9.0, 10.0).waiting == 9.0


def test_an_output_without_new_tokens_is_no_progress():
    it = Life("a", 0.0)
    it.saw(1.0, [7], False)
    it.saw(2.0, [7], False)
    it.saw(5.0, [7, 8], False)
    it.saw(6.0, [7, 8], True)
    assert it.longest_gap == 4.0
    assert (it.finish, it.answer) == (6.0, [7, 8])


def test_figures_of_two_requests():
    lives = [life("a", 0.0, 1.0, 2.0, 3.0), life("b", 1.0, 2.0, 6.0)]
    costs = Costs(10, 0.5, 0.1, 0.2, 0.1, pauses=3, evictions=2, recomputed_tokens=40)
    found = figures(lives, costs.snapshot(), busy_s=4.0)
    expected = {
        "requests": 2,
        "finished": 2,
        "mean_latency_s": 4.0,
        "p50_latency_s": 4.0,
        "p99_latency_s": 4.98,
        "mean_ttft_s": 1.0,
        "mean_tpot_s": 2.5,
        # 3 s for 3 tokens, 5 s for 2.
        "mean_latency_per_token_s": 1.75,
        "max_waiting_s": 4.0,
        "mean_max_waiting_s": 2.5,
        "output_tokens": 5,
        "makespan_s": 6.0,
        # Up to the last first token at 2 s: half of a's 3 tokens; 2.5 tokens are a request.
        "full_requests_per_s": pytest.approx(1.5 / 2.5 / 2.0),
        "tokens_per_s": 5 / 6,
        "preemptions": 5,
        "evictions": 2,
        "recomputed_tokens": 40,
        "step_ms": 400.0,
        "scheduler_ms_per_step": 50.0,
        "ranking_ms_per_step": 10.0,
        "predictor_ms_per_step": 30.0,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_every_promised_field_is_there_and_plain_json():
    found = figures([life("a", 0.0, 1.0, 2.0)], Costs().snapshot(), busy_s=1.0)
    assert set(FIELDS) - LABELS <= set(found)
    assert json.loads(json.dumps(found)) == found


def test_only_finished_requests_count():
    open_ = Life("b", 0.0)
    open_.saw(50.0, [1], False)
    found = figures([life("a", 0.0, 1.0, 2.0), open_], Costs().snapshot(), 1.0)
    assert (found["requests"], found["finished"], found["output_tokens"]) == (2, 1, 2)
    assert found["max_waiting_s"] == 1.0


def test_nothing_finished_is_said_without_figures():
    assert figures([Life("a", 0.0)], Costs().snapshot(), 1.0) == {"requests": 1, "finished": 0}


def test_an_answer_of_one_token_has_no_pace():
    assert figures([life("a", 0.0, 1.0)], Costs().snapshot(), 1.0)["mean_tpot_s"] == 0.0


@pytest.mark.parametrize(("until", "seconds"), [(1, 2.0), (2, 5.0), (3, None), (0, None)])
def test_the_seconds_until_so_many_had_finished_count_from_the_first_arrival(until, seconds):
    lives = [life("a", 1.0, 2.0, 6.0), life("b", 2.0, 3.0)]
    found = figures(lives, Costs().snapshot(), 1.0, until)
    assert (found["until"], found["until_s"]) == (until, seconds)
    assert "until_s" not in figures(lives, Costs().snapshot(), 1.0)


def test_tenants_have_figures_of_their_own():
    lives = [life("a", 0.0, 1.0, 2.0), life("b", 0.0, 4.0)]
    lives[0].tenant, lives[1].tenant = "x", "y"
    found = figures(lives, Costs().snapshot(), 1.0)["tenants"]
    assert [found[name]["mean_latency_s"] for name in "xy"] == [2.0, 4.0]
