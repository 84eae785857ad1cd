"""``lengthwise report``, and ``--report`` of simulate: from a command to a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lengthwise.cli import main
from lengthwise.results.files import read_requests

SHORT = ["--synthetic", "exp:50,exp:40", "--requests", "80", "--workers", "1"]
SEATS = ["--seats", "4"]


def simulate(tmp_path: Path, *words: str) -> tuple[Path, Path]:
    out, page = tmp_path / "out", tmp_path / "page.html"
    places = ["--out", str(out), "--report", str(page)]
    assert main(["simulate", *words, *SHORT, *places]) == 0
    return out, page


def test_a_simulation_leaves_a_page_and_the_requests_of_its_first_seed(tmp_path: Path) -> None:
    words = ["--rates", "2,4", "--repeat", "2", "--policies", "fcfs,sjf", *SEATS]
    out, page = simulate(tmp_path, "policies", *words)
    runs = json.loads((out / "results.json").read_text())["runs"]
    for number, run in enumerate(runs):
        there = (out / f"requests-{number}.jsonl").is_file()
        assert there == (run["seed"] == 0)
        if there:
            rows = read_requests(out, number)
            mean = sum(row.finish - row.arrival for row in rows if row.finish) / len(rows)
            assert mean == pytest.approx(run["mean_latency_s"])
            assert all(row.predicted for row in rows) == (run["policy"] == "sjf")
    text = page.read_text()
    assert "Predictions" in text
    assert "lengthwise simulate policies --rates 2,4" in text


def test_a_fleet_and_padded_batches_have_pages_too(tmp_path: Path) -> None:
    _, page = simulate(tmp_path / "fleet", "fleet", "--policies", "lengthwise", "--instances", "2")
    assert "predicted" in page.read_text()
    words = ["--rates", "1", "--policies", "vanilla,ccb"]
    out, page = simulate(tmp_path / "padded", "padded", *words)
    assert "ccb" in page.read_text()
    assert len(read_requests(out, 1)) == 80


def test_results_become_a_page_alone_or_against_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = simulate(tmp_path, "policies", "--rates", "2", "--policies", "fcfs,sjf")
    page = tmp_path / "mine.html"
    assert main(["report", str(out), "--out", str(page)]) == 0
    assert "Simulated policies" in page.read_text()
    assert main(["report", str(out), str(out), "--out", str(page)]) == 0
    assert "Where they are not comparable" in page.read_text()
    assert "+0.0 %" in capsys.readouterr().out


def test_results_are_held_against_classes_that_are_made_afterwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = simulate(tmp_path, "policies", "--rates", "4", "--policies", "fcfs,sjf", *SEATS)
    assert "by service class" not in capsys.readouterr().out
    file, page = tmp_path / "classes.toml", tmp_path / "again.html"
    file.write_text('default = "all"\n[class.all]\nttft = "2s"\n')
    assert main(["report", str(out), "--classes", str(file), "--out", str(page)]) == 0
    assert "has a goodput of" in capsys.readouterr().out
    rows = read_requests(out, 0)
    met = sum(row.first - row.arrival <= 2.0 for row in rows)
    table = (tmp_path / "again" / "by-class.csv").read_text().splitlines()
    assert table[1].startswith(f"fcfs,all,TTFT 2 s,{len(rows)},{met},")
