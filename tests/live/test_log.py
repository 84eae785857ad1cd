"""The decision log: every decision is a line, whatever the disk and the names do."""

from __future__ import annotations

import json
import logging
import stat
import threading
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.live import log as module
from lengthwise.live.decision import Decision, Kind, Reason
from lengthwise.live.log import KEPT, DecisionLog, line_of, rank_file


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time to write."""
    monkeypatch.setattr(module, "_PATIENCE_S", 600.0)


def paused(index: int, request: str = "cmpl-1", **more: Any) -> Decision:
    return Decision(index, 1.5e9, "paused", 17, request, "seat", winner=23, left=310.0, **more)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def everything(path: Path) -> list[dict[str, Any]]:
    """All lines, of the oldest file first."""
    files = sorted(path.parent.glob(f"{path.name}.*"), key=lambda each: -int(each.suffix[1:]))
    return [line for each in (*files, path) for line in lines(each)]


def test_each_decision_is_a_line_with_its_fields(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path / "log", 1)
    for index in range(1, 301):
        log.add(paused(index, recompute=index % 2))
    log.close()
    found = lines(tmp_path / "log")
    assert [each["index"] for each in found] == list(range(1, 301))
    assert found[0].keys() == set(Decision.__struct_fields__)
    assert found[0] | {"kind": "paused", "number": 17, "winner": 23, "left": 310.0} == found[0]


def test_every_field_and_kind_is_described() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "decisions.md"
    text = page.read_text()
    for name in (*Decision.__struct_fields__, *get_args(Kind), *filter(None, get_args(Reason))):
        assert f"`{name}`" in text, name


def test_only_its_owner_reads_it_and_a_second_start_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log"
    for index in (1, 2):
        log = DecisionLog(path, 1)
        log.add(paused(index))
        log.close()
    assert [each["index"] for each in lines(path)] == [1, 2]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_it_is_rotated_by_size_and_a_few_files_are_kept(tmp_path: Path) -> None:
    path, size = tmp_path / "log", 64 * 2**10
    log = DecisionLog(path, size / 2**20)
    for index in range(3000):
        log.add(paused(index))
    log.close()
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        *("log", *(f"log.{number}" for number in range(1, KEPT + 1)))
    ]
    assert all(each.stat().st_size < 1.5 * size for each in tmp_path.iterdir())
    assert all(stat.S_IMODE(each.stat().st_mode) == 0o600 for each in tmp_path.iterdir())
    found = [each["index"] for each in everything(path)]
    assert found == list(range(found[0], 3000))


class Disk:
    """Opens files that a full disk refuses to take anything into."""

    def __init__(self, path: Path) -> None:
        self.full = True
        self.path = path

    def __call__(self) -> Any:
        return Path("/dev/full").open("a") if self.full else self.path.open("a")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a disk that is always full")
def test_a_full_disk_is_told_once_and_what_it_cost_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path, seen = tmp_path / "log", threading.Event()
    disk = Disk(path)
    monkeypatch.setattr(module._File, "_open", disk)
    monkeypatch.setattr(module, "_EVERY_S", 0.01)
    caplog.set_level(logging.WARNING, "vllm.lengthwise")
    watch(monkeypatch, seen)
    log = DecisionLog(path, 1)
    log.add(paused(1))
    log.add(paused(2))
    assert seen.wait(60)
    disk.full = False
    log.add(paused(3))
    log.close()
    found = lines(path)
    dropped = sum(each["count"] for each in found if each["kind"] == "dropped")
    assert dropped + sum(each["kind"] == "paused" for each in found) == 3
    assert dropped >= 1
    said = [each.getMessage() for each in caplog.records]
    assert len(said) == 2
    assert "No space left" in said[0]
    assert "written again" in said[1]


def watch(monkeypatch: pytest.MonkeyPatch, seen: threading.Event) -> None:
    """Tell when the disk has refused lines twice."""
    refused = module._File.handleError
    times: list[int] = []

    def told(self: Any, record: logging.LogRecord) -> None:
        refused(self, record)
        times.append(1)
        if len(times) > 1:
            seen.set()

    monkeypatch.setattr(module._File, "handleError", told)


def test_decisions_that_the_disk_is_too_slow_for_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 10)
    monkeypatch.setattr(module, "_EVERY_S", 600.0)
    log = DecisionLog(tmp_path / "log", 1)
    for index in range(25):
        log.add(paused(index))
    log.close()
    found = lines(tmp_path / "log")
    assert [each["index"] for each in found[:-1]] == list(range(10))
    assert found[-1] | {"kind": "dropped", "count": 15} == found[-1]


@settings(max_examples=50)
@given(st.text(st.characters(), max_size=300), st.floats())
def test_whatever_a_client_calls_its_request_is_one_line(name: str, left: float) -> None:
    line = line_of(Decision(1, 1.0, "arrived", 1, name, left=left, tenant=name))
    assert "\n" not in line
    assert line.isprintable()
    assert json.loads(line)["request"] == json.loads(line)["tenant"]


def test_surrogates_and_endless_names_are_lines_too() -> None:
    assert json.loads(line_of(paused(1, "\ud800\x1b[2J")))["request"] == r"\ud800\x1b[2J"
    assert len(line_of(paused(1, "x" * 10**6))) < 1000


def test_ranks_have_files_of_their_own() -> None:
    assert [rank_file("a/log.jsonl", rank).name for rank in (0, 1, 12)] == [
        *("log.jsonl", "log.rank-1.jsonl", "log.rank-12.jsonl")
    ]
    assert rank_file("a/log", 2) == Path("a/log.rank-2")


def test_a_path_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("a file, no folder")
    with pytest.raises(OSError, match="there"):
        DecisionLog(tmp_path / "there" / "log", 1)
