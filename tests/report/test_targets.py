"""The part of a page about service classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.service import Classes, ServiceClass, Target
from lengthwise.report.attained import attained, shifts
from lengthwise.report.compare import compare
from lengthwise.report.origin import origin_of
from lengthwise.report.parts import Chart, Origin, Page, Part, Section, Table, Text
from lengthwise.report.results import Study, study_of
from lengthwise.report.runs import page_of
from lengthwise.report.served import Served
from lengthwise.report.tables.attainment import by_class
from lengthwise.report.tables.missed import missed
from lengthwise.report.targets import target_parts
from lengthwise.report.write import html, write_page
from lengthwise.results.files import RequestRow, write_requests

from .drawn import RUNS
from .studies import rows, write_study

CHAT = ServiceClass("chat", Target(ttft=1.0, tpot=0.1), tenants=("web",))
BATCH = ServiceClass("batch", Target(deadline=60.0))
CLASSES = Classes((CHAT, BATCH), "batch")


def four() -> Served:
    """Two of chat, the first late and passed by both of batch; the last never finished."""
    arrival = np.array([0.0, 1.0, 2.0, 3.0])
    first = np.array([9.0, 1.5, 2.5, 4.0])
    finish = np.array([9.5, 2.0, 8.0, np.nan])
    tokens = np.array([10, 10, 20, 30])
    service = ["chat", "chat", "batch", "batch"]
    return Served("it", arrival, first, finish, tokens, tokens, id=list("abcd"), service=service)


def rows_of(table: Table) -> list[dict[str, object]]:
    return [dict(zip(table.heads, row, strict=True)) for row in table.rows]


def test_each_class_has_its_share_and_its_goodput() -> None:
    chat, batch = rows_of(by_class([four()], CLASSES))
    assert (chat["class"], chat["promised"], chat["requests"]) == (
        "chat",
        "TTFT 1 s, TPOT 100 ms",
        2,
    )
    assert (chat["attained (%)"], chat["late: TTFT"], chat["late: TPOT"]) == (50.0, 1, 0)
    assert chat["late: deadline"] is None
    assert batch["never finished"] == 1
    assert batch["attained (%)"] == 50.0
    assert batch["goodput (requests/s)"] == pytest.approx(1 / 9.5)
    assert chat["Jain's index"] == batch["Jain's index"]


def test_the_largest_misses_say_why() -> None:
    unfinished, late = rows_of(missed([four()], CLASSES))
    assert (unfinished["request"], unfinished["got"]) == ("d", "never finished")
    assert (late["request"], late["missed"], late["times as long"]) == ("a", "TTFT", 9.0)
    assert (late["passed by"], late["their tokens"]) == (3, 2 * (10 + 20 + 30))
    assert late["why"] == "3 later requests went first"


@pytest.mark.parametrize(
    ("first", "finish", "gap", "why"),
    [
        (5.0, 6.0, 0.1, "it waited for those before it: nobody passed it"),
        (0.5, 9.0, 7.0, "its answer stood still for 7 s"),
        (0.5, 9.5, 0.5, "its answer took 9 s, 1,000 ms a token"),
    ],
)
def test_what_took_too_long_is_named(first: float, finish: float, gap: float, why: str) -> None:
    ends = np.array([first]), np.array([finish])
    tokens = np.array([10])
    run = Served("it", np.zeros(1), *ends, tokens, tokens, np.array([gap]), service=["chat"])
    (row,) = rows_of(missed([run], CLASSES))
    assert row["why"] == why


def test_a_share_of_all_or_none_is_no_surer_than_its_requests() -> None:
    run = four().only(np.array([False, True, False, True]), "two")
    found = attained(run, CLASSES)
    assert (found["chat"].share, found["chat"].low, found["chat"].high) == (1.0, 0.0, 1.0)
    assert (found["batch"].share, found["batch"].low, found["batch"].high) == (0.0, 0.0, 1.0)
    many = Served.of([replace(it, tenant="web") for it in rows("fcfs", 2.0, 0)], "it", CLASSES)
    assert attained(many, CLASSES)["chat"].low < attained(many, CLASSES)["chat"].share
    assert attained(many, CLASSES)["batch"].requests == 0


def test_a_run_is_unchanged_against_itself_and_better_against_a_slower_one() -> None:
    fast, slow = (
        Served.of([replace(it, tenant="web") for it in rows("fcfs", 2.0, 0, by)], "it", CLASSES)
        for by in (0.5, 2.0)
    )
    same = shifts(fast, fast, CLASSES)["chat"]
    assert (same.low, same.high) == (0.0, 0.0)
    better = shifts(slow, fast, CLASSES)["chat"]
    assert better.after > better.before
    assert better.low <= better.after - better.before <= better.high
    assert better.sure
    assert str(better).startswith("+")


@settings(max_examples=6)
@given(RUNS, st.data())
def test_runs_of_every_odd_kind_have_a_section(runs: list[Served], data: st.DataObject) -> None:
    names = st.sampled_from(["chat", "batch", "gone"])
    served = [
        replace(one, service=data.draw(st.lists(names, min_size=len(one), max_size=len(one))))
        for one in runs
    ]
    parts = target_parts(served, CLASSES, 8)
    assert any(isinstance(part, Chart) for part in parts)
    assert "nan" not in html(Page("p", parts, [], Origin("c", [], "0", "m")))
    assert target_parts(runs, CLASSES, 8) == []
    assert target_parts(served, None, 8) == []


def tenants(folder: Path) -> Path:
    """A study whose every second request is of the tenant web."""
    write_study(folder)
    for file in folder.glob("requests-*.jsonl"):
        number = int(file.stem.split("-")[1])
        found = study_rows(folder, number)
        named = [replace(it, tenant="web" if i % 2 else None) for i, it in enumerate(found)]
        write_requests(folder, number, named)
    return folder


def study_rows(folder: Path, number: int) -> list[RequestRow]:
    from lengthwise.results.files import read_requests

    return read_requests(folder, number)


def section(page_sections: list[Section]) -> list[Part]:
    return [*next(it for it in page_sections if it.title == "Targets").parts]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_of(tenants(tmp_path_factory.mktemp("tenants")), CLASSES)


def test_classes_are_held_against_results_that_are_there(study: Study, tmp_path: Path) -> None:
    page = page_of(study, origin_of(study))
    parts = section([*page.sections])
    charts = [part.name for part in parts if isinstance(part, Chart)]
    assert charts == [
        *("attainment", "ttft-of-chat", "ttft-of-batch"),
        *("goodput-by-load", "attained-by-load-chat", "attained-by-load-batch"),
    ]
    texts = [part.text for part in page.summary if isinstance(part, Text)]
    assert any("sjf has a goodput of" in text and "attained: chat" in text for text in texts)
    saved = {each.name for each in write_page(page, tmp_path / "page.html")}
    assert {"attainment.png", "by-class.csv", "missed-targets.csv"} <= saved


def test_the_marked_target_is_the_classes(study: Study) -> None:
    parts = section([*page_of(study, origin_of(study)).sections])
    (chart,) = (it for it in parts if isinstance(it, Chart) and it.name == "ttft-of-chat")
    (axes,) = chart.figure.axes
    assert any(list(line.get_xdata()) == [1.0, 1.0] for line in axes.lines)
    assert "A line marks what is promised: 1 s." in chart.description


def test_runs_whose_requests_no_file_has_are_held_against_nothing(study: Study) -> None:
    have = [
        ("goodput_requests_per_s" in run) == (served is not None)
        for run, served in zip(study.runs, study.served, strict=True)
    ]
    assert all(have)
    assert any("goodput_requests_per_s" not in run for run in study.runs)


def test_two_results_are_compared_by_class(tmp_path: Path) -> None:
    one = study_of(tenants(tmp_path / "one"), CLASSES)
    two = study_of(tenants(tmp_path / "two"), CLASSES)
    page = compare(one, two)
    (table,) = (part for part in section([*page.sections]) if isinstance(part, Table))
    assert {(row[2], row[6]) for row in table.rows} == {("chat", 0.0), ("batch", 0.0)}
    apart = compare(one, study_of(tmp_path / "two"))
    where = " ".join(it.text for it in apart.sections[0].parts if isinstance(it, Text))
    assert "The service classes in one: chat (TTFT 1 s, TPOT 100 ms), batch" in where
    assert "in two: none" in where
