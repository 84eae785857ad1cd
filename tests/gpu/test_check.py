"""The GPU check's own arithmetic; what it does to engines needs a GPU, or `make gpu-check`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

GPU = Path(__file__).parents[2] / "gpu"
sys.path.insert(0, str(GPU))

import check  # noqa: E402

from engine import Ask, Build, Order, Served  # noqa: E402
from lengthwise.results.timings import Timing  # noqa: E402


def served(seconds: float, steps: int, rows: list[tuple[str, float, float, float, int]]) -> Served:
    """Of each request its id, arrival, first token, finish, and number of tokens."""
    costs = {"schedule_s": 0.02, "ranking_s": 0.01, "predict_s": 0.0, "evictions": 1, "pauses": 2}
    timings = [
        Timing(name, arrival, first, finish, finish, tokens=tokens)
        for name, arrival, first, finish, tokens in rows
    ]
    return Served(seconds=seconds, steps=steps, timings=timings, costs=costs, decode_s=0.01)


def answered(**answers: list[int]) -> Served:
    return Served(timings=[Timing(name, 0.0, answer=ids) for name, ids in answers.items()])


def test_which_answers_differ_and_where() -> None:
    stock = answered(a=[1, 2, 3], b=[4], c=[5, 6])
    other = answered(a=[1, 9, 3], b=[4], c=[5])
    assert check.differing(stock, other) == "a at 1, c at 1"
    assert check.differing(stock, stock) == "none"


def test_what_a_step_costs_is_compared_round_by_round() -> None:
    rows = [("a", 0.0, 1.0, 2.0, 30)]
    stock = [served(10.0, 100, rows), served(20.0, 100, rows)]
    figures = check.cost_figures([served(20.0, 100, rows), served(20.0, 100, rows)], stock)
    assert figures["rate_ratio"] == pytest.approx((0.5 + 1.0) / 2)
    assert figures["ranking_us"] == pytest.approx(100.0)
    assert figures["step_ratio"] == pytest.approx(1.0)


def test_the_figures_of_a_run() -> None:
    figures = check.bench_figures(
        served(4.0, 10, [("a", 0.0, 1.0, 2.0, 3), ("b", 1.0, 3.0, 4.0, 5)])
    )
    assert figures["mean"] == 2.5
    assert figures["ttft"] == 1.5
    assert figures["longest"] == 2.0
    assert figures["tokens_per_s"] == 2.0


def test_requests_have_lengths_of_the_file_and_expectations_beside_them(tmp_path: Path) -> None:
    path = tmp_path / "lengths.json"
    path.write_text(json.dumps({"chat": [[10, 20], [30, 40]], "code": [[50, 2]]}))
    known = check.known_lengths(path)
    requests = check.drawn_requests(known["chat"], 200, 1, cuda=True)
    assert {(len(ask.prompt_ids), ask.ends) for ask in requests} == {(10, 20), (30, 40)}
    errors = np.log([ask.expected / ask.ends for ask in requests if ask.ends and ask.expected])
    assert 0.4 < errors.std() < 0.6
    # The limit that vLLM is given says nothing of the length.
    assert {ask.most for ask in requests} == {1024}


def test_lengths_are_made_where_there_is_no_file() -> None:
    known = check.known_lengths(None)
    assert set(known) == {"chat", "code"}
    assert min(min(pair) for pairs in known.values() for pair in pairs) >= 1


def test_orders_survive_the_way_to_the_engine() -> None:
    import msgspec

    order = Order("trail", [Ask("a", [1, 2], 9, 0.5, 3, 4.5)], 8, settings={"look_every": 1})
    assert msgspec.json.decode(msgspec.json.encode(order), type=Order) == order
    build = Build("model", {"max_num_seqs": 4}, None, True)
    assert msgspec.json.decode(msgspec.json.encode(build), type=Build) == build


def test_a_pause_counts_as_waiting() -> None:
    timing = Timing("a", 0.0)
    for now, tokens in ((1.0, [7]), (2.0, [7, 7]), (9.0, [7, 7, 1])):
        timing.saw(now, tokens, finished=len(tokens) == 3)
    costs = {"schedule_s": 0.0, "evictions": 0, "pauses": 1}
    assert check.bench_figures(Served(seconds=9.0, timings=[timing], costs=costs))["longest"] == 7.0
