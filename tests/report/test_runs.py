"""The page of a study."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lengthwise.report.origin import origin_of
from lengthwise.report.parts import Chart, Page, Table, Text
from lengthwise.report.results import study_of
from lengthwise.report.runs import page_of, verdicts

from .studies import write_study


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    study = study_of(write_study(tmp_path_factory.mktemp("study")))
    return page_of(study, origin_of(study))


def test_the_page_has_every_section_and_the_figures_first(page: Page) -> None:
    assert page.title == "Simulated policies: made"
    assert [section.title for section in page.sections] == [
        *("How long requests take", "Short and long requests", "Over time"),
        *("Who waited for whom", "Against load", "Preemptions"),
    ]
    table = page.summary[-1]
    assert isinstance(table, Table)
    found = [dict(zip(table.heads, row, strict=True)) for row in table.rows]
    assert [(row["run"], row["traffic"]) for row in found] == [
        (policy, f"{rate} requests/s") for rate in (2, 4) for policy in ("fcfs", "sjf")
    ]
    assert [row["repetitions"] for row in found] == [2] * 4
    assert [row["finished"] for row in found] == [120] * 4
    assert table.rows[0][3] is None
    assert str(table.rows[1][3]).startswith("-")
    assert re.fullmatch(r"-\d+ % \(-\d+ to [+-][\d.]+\)", str(table.rows[1][3]))


def test_the_verdict_names_the_best_and_what_it_costs(page: Page) -> None:
    texts = [part.text for part in page.summary if isinstance(part, Text)]
    assert len(texts) == 2
    assert re.match(
        r"2 requests/s: sjf has the lowest mean latency, [\d.]+ (m?s)\. Against fcfs: mean latency "
        r"-.* %.*, p99 latency .* %.*, mean TTFT -.* %.*\.",
        texts[0],
    )


def test_nobody_wins_by_true_lengths_or_by_a_hair(tmp_path: Path) -> None:
    study = study_of(write_study(tmp_path / "a", ["fcfs", "oracle"], [2.0], [0]))
    assert [*verdicts(study)] == ["2 requests/s: no mean latency is below that of fcfs."]
    alone = study_of(write_study(tmp_path / "b", ["fcfs"], [2.0], [0]))
    assert [*verdicts(alone)] == []


def test_charts_of_requests_are_at_the_highest_rate_and_say_so(page: Page) -> None:
    first = page.sections[0].parts[0]
    assert isinstance(first, Text)
    assert "4 requests/s" in first.text
    over = next(section for section in page.sections if section.title == "Over time").parts[0]
    assert isinstance(over, Chart)
    assert "8 seats" in over.description
    assert "holds 1,600 tokens" in over.description


def test_the_origin_is_that_of_the_file(page: Page) -> None:
    assert page.origin.seeds == "0, 1"
    assert dict(page.origin.versions)["lengthwise"]
    assert "cores" in page.origin.machine
    notes = " ".join(page.origin.notes)
    assert "60 requests, drawn from it with each seed" in notes
    assert "4 requests/s is more than some run could serve" in notes


def test_without_requests_or_with_those_of_another_study_it_says_so(tmp_path: Path) -> None:
    folder = write_study(tmp_path, requests=False)
    study = study_of(folder)
    assert study.served == [None] * 8
    (section, *_) = page_of(study, origin_of(study)).sections
    assert isinstance(section.parts[0], Text)
    assert "no file of single requests" in section.parts[0].text
    # As many requests of an earlier run, which took longer.
    write_study(folder, slower=3.0)
    write_study(folder, requests=False)
    assert study_of(folder).served == [None] * 8


def test_a_burst_alone_has_no_load_to_be_drawn_against(tmp_path: Path) -> None:
    study = study_of(write_study(tmp_path, rates=[None]))
    page = page_of(study, origin_of(study))
    assert "Against load" not in [section.title for section in page.sections]
    assert study.traffics == ["burst"]
