"""Two results compared: what changed, how sure that is, and what is not comparable."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lengthwise.report.change import FIGURES, change, draws, matched
from lengthwise.report.compare import compare
from lengthwise.report.parts import Page, Section, Table, Text
from lengthwise.report.results import study_of
from lengthwise.report.served import Served

from .studies import rows, write_study

MEAN = FIGURES[0]


def run(slower: float = 1.0, seed: int = 0, n: int = 1) -> Served:
    return Served.of(rows("fcfs", 2.0, seed, slower), "fcfs")


def page_of(one: Path, two: Path) -> Page:
    return compare(study_of(one), study_of(two))


def sentences(page: Page) -> str:
    (where, *_) = page.sections
    assert isinstance(where, Section)
    return "\n".join(part.text for part in where.parts if isinstance(part, Text))


def test_the_same_requests_are_found_whatever_their_order() -> None:
    one = run()
    two = Served.of(rows("fcfs", 2.0, 0)[::-1], "fcfs")
    found = matched(one, two)
    assert found is not None
    assert [one.id[i] for i in found[0]] == [two.id[i] for i in found[1]]
    assert matched(one, run(seed=1)) is None


def test_pairing_makes_the_interval_narrower_and_both_hold_the_truth() -> None:
    before, after = run(), run(slower=0.8)
    paired = change(before, after, MEAN)
    other = Served(after.name, after.arrival + 5.0, after.first + 5.0, after.finish + 5.0,
                   after.prompt, after.output)  # fmt: skip
    apart = change(before, other, MEAN)
    truth = after.latency.mean() / before.latency.mean() - 1.0
    assert paired.share == pytest.approx(truth)
    assert paired.low < truth < paired.high
    assert apart.low < truth < apart.high
    assert paired.high - paired.low < 0.5 * (apart.high - apart.low)
    assert paired.sure
    assert not apart.sure


def test_a_run_against_itself_does_not_change() -> None:
    for figure in FIGURES:
        it = change(run(), run(), figure)
        assert (it.share, it.low, it.high) == (0.0, 0.0, 0.0)
        assert not it.sure


def test_ninety_five_of_a_hundred_intervals_of_independent_requests_hold_the_mean() -> None:
    held = 0
    for seed in range(100):
        times = np.random.default_rng(seed).exponential(1.0, 400)
        low, high = np.quantile(draws(times, None, 200, 0)[1:], (0.025, 0.975))
        held += low < 1.0 < high
    assert 85 <= held <= 99


def test_drawn_quantiles_are_near_those_of_all() -> None:
    times = np.random.default_rng(0).exponential(1.0, 2000)
    found = draws(times, 0.9, 100, 0)
    assert found[0] == np.quantile(times, 0.9)
    assert found[1:].mean() == pytest.approx(found[0], rel=0.05)


def test_repetitions_are_compared_seed_by_seed(tmp_path: Path) -> None:
    one, two = write_study(tmp_path / "a"), write_study(tmp_path / "b", slower=0.5)
    page = page_of(one, two)
    table = page.summary[-1]
    assert isinstance(table, Table)
    assert {row[-1] for row in table.rows} == {"2 repetitions, paired"}
    assert all(float(str(row[5])) < 0 for row in table.rows)
    assert "are the same" in sentences(page)
    assert page.title == "b against a"


def test_single_runs_are_compared_request_by_request(tmp_path: Path) -> None:
    one = write_study(tmp_path / "a", seeds=[0])
    two = write_study(tmp_path / "b", seeds=[0], slower=0.5)
    table = page_of(one, two).summary[-1]
    assert isinstance(table, Table)
    assert {row[-1] for row in table.rows} == {"requests, paired"}
    assert len(table.rows) == 4 * len(FIGURES)


def test_every_difference_is_a_sentence(tmp_path: Path) -> None:
    one = write_study(tmp_path / "a", seeds=[0])
    two = write_study(tmp_path / "b", ["fcfs"], [2.0, 8.0], seeds=[3], seats=9)
    content = json.loads((two / "results.json").read_text())
    content["setup"]["profile"] = "faster"
    content["origin"]["machine"] = "another machine"
    content["origin"]["versions"] |= {"numpy": "1.0", "vllm": "9"}
    (two / "results.json").write_text(json.dumps(content))
    said = sentences(page_of(one, two))
    for each in (
        "The profile of step times: made-profile in a, faster in b.",
        "The seats: 8 in a, 9 in b.",
        "The seeds: 0 in a, 3 in b.",
        "in a, 1.0 in b.",
        "The version of vllm:",
        "another machine in b.",
        "Only a, not b, has: sjf at 2 requests/s; fcfs at 4 requests/s; sjf at 4 requests/s.",
        "Only b, not a, has: fcfs at 8 requests/s.",
        "fcfs at 2 requests/s: the requests or their times of arrival are not the same.",
    ):
        assert each in said, each


def test_older_files_and_runs_without_requests_say_what_is_not_known(tmp_path: Path) -> None:
    one = write_study(tmp_path / "a", seeds=[0], requests=False)
    two = write_study(tmp_path / "b", ["sjf"], [9.0], seeds=[0])
    content = json.loads((one / "results.json").read_text())
    del content["origin"]
    (one / "results.json").write_text(json.dumps(content))
    page = page_of(one, two)
    verdict = page.summary[0]
    assert isinstance(verdict, Text)
    assert verdict.text == "a and b have no run in common: nothing can be compared."
    assert "a was written by lengthwise" in sentences(page)
    again = page_of(one, one)
    assert "have no interval" in sentences(again)
    assert "no interval can be given" in str(again.summary[0])


def test_one_run_each_is_compared_whatever_they_are_called(tmp_path: Path) -> None:
    one = write_study(tmp_path / "a", ["fcfs"], [2.0], seeds=[0])
    two = write_study(tmp_path / "b", ["sjf"], [2.0], seeds=[0])
    verdict = page_of(one, two).summary[0]
    assert isinstance(verdict, Text)
    assert verdict.text.startswith("fcfs → sjf at 2 requests/s: mean latency ")
    assert verdict.text.endswith("), lower.")


@pytest.mark.parametrize("tiny", [5e-324, 1e-160, 0.0])
def test_changes_from_next_to_nothing_are_not_numbers_of_any_size(tiny: float) -> None:
    n = 30
    zero, ones = np.zeros(n), np.ones(n, int)
    before = Served("it", zero, zero + tiny, zero + tiny, ones, ones)
    after = Served("it", zero, zero + 1.0, zero + 1e15, ones, ones)
    for figure in FIGURES:
        found = change(before, after, figure)
        assert not found.sure or found.low > 0.0
        assert "nan" not in str(found)
