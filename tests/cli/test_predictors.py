"""``lengthwise predictors``: what it prints, orders, moves and deletes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from lengthwise.cli.main import main
from lengthwise.core.bins import Bins
from lengthwise.models.fingerprint import fingerprint
from lengthwise.online.folder import learned_folder
from lengthwise.online.history import Decision, History
from lengthwise.online.orders import Orders
from lengthwise.online.version import Judged, Version
from lengthwise.online.versions import Versions
from lengthwise.predictors.baselines import Constant

JUDGED = Judged(60, 0.7123, 0.651, 0.753, 0.5, 12.5, (3.0, 4.5, 40.0), (2.0, 9.0, 80.0))

Run = Callable[..., str]


@pytest.fixture
def model(model_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("LENGTHWISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return str(model_of({"hi": 1, "[unk]": 0}))


@pytest.fixture
def versions(model: str) -> Versions:
    """Three versions, the second judged; 1 acted before 2, 3 has not acted."""
    hands: Iterator[float] = iter(range(1, 1000))
    folder = learned_folder(model)
    found = Versions(folder, fingerprint(model), print, clock=lambda: next(hands))
    bins = Bins.log(4, 64.0).with_overflow()
    shares = np.full(len(bins), 1 / len(bins), np.float32)
    constant = Constant.restore(bins, {}, {"shares": shares})
    for number in (1, 2, 3):
        version = Version(number, "prompt", "constant", 86_400.0, 100 * number, 0.5)
        found.save(version, constant)
    found.act("prompt", 1)
    found.act("prompt", 2)
    found.judge(2, JUDGED)
    return found


@pytest.fixture
def run(model: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run(mode, words...)``: the mode for the model; returns what it prints."""

    def run(mode: str, *words: object) -> str:
        assert main(["predictors", mode, model, *map(str, words)]) == 0
        return capsys.readouterr().out

    return run


def test_a_model_that_nothing_was_learned_for_has_none(run: Run, model: str) -> None:
    for mode in ("list", "history"):
        assert str(learned_folder(model)) in run(mode)
    assert not learned_folder(model).exists()


def test_the_list_says_what_each_does(run: Run, versions: Versions) -> None:
    versions.order(Orders().pin("probe", 0).bar(1))
    lines = run("list").splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert [row[-1] for row in rows] == ["barred", "acts", "shadow"]
    assert rows[1][1:-1] == [
        *("prompt", "constant", "1970-01-02 00:00:00", "200"),
        *("0.712 ±0.061", "12.5"),
    ]
    assert "probe: none may act" in lines


def test_list_is_meant_where_no_mode_is_named(
    model: str, versions: Versions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predictors", model]) == 0
    assert "shadow" in capsys.readouterr().out


def test_a_model_that_is_gone_has_its_folder(
    run: Run, model: str, versions: Versions, tmp_path: Path
) -> None:
    shutil.rmtree(model)
    out = run("list", "--folder", versions.folder)
    assert out.count("constant") == 3
    run("pin", 1, "--folder", versions.folder)
    assert versions.orders().pinned == {"prompt": 1}


def test_a_damaged_version_is_one_line(
    run: Run, versions: Versions, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (versions.folder / "version-000003" / "prompt.safetensors").write_bytes(b"\x40")
    assert main(["predictors", "list", model]) == 0
    out, err = capsys.readouterr()
    assert out.count("constant") == 2
    assert err.count("\n") == 1
    assert "version 3 is skipped" in err


def test_one_version_is_shown_by_length(run: Run, versions: Versions, tmp_path: Path) -> None:
    out = run("show", 2, "--out", tmp_path / "a.png")
    assert "0.712 (0.651 to 0.753)" in out
    assert "64 to 127" in out
    assert "-40.0" in out
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert "not been judged" in run("show", 3)


def test_the_last_decisions_are_printed(run: Run, versions: Versions) -> None:
    history = History(versions.folder, lambda: 86_400.0)
    for number in range(1, 4):
        history.add(Decision("acts", "prompt", number, f"version {number}\x1b[2J acts"))
    assert run("history", "--last", 2).splitlines() == [
        "1970-01-02 00:00:00 version 2\\x1b[2J acts",
        "1970-01-02 00:00:00 version 3\\x1b[2J acts",
    ]


def test_orders_are_written(run: Run, versions: Versions) -> None:
    run("pin", 3)
    assert versions.orders() == Orders({"prompt": 3})
    run("pin", "none", "--role", "probe")
    assert versions.orders() == Orders({"prompt": 3, "probe": 0})
    run("unpin", "--role", "probe")
    run("unpin")
    assert versions.orders() == Orders()
    assert "nothing" in run("unpin")
    assert "version 1 acts again" in run("rollback")
    assert versions.orders() == Orders(barred=frozenset({2}))
    versions.act("prompt", 1)
    assert "none acts" in run("rollback", "--role", "prompt")
    assert versions.orders() == Orders(barred=frozenset({1, 2}))
    run("pin", 2)
    assert versions.orders() == Orders({"prompt": 2}, frozenset({1}))


def test_what_acts_goes_to_another_replica(
    run: Run, versions: Versions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    file = tmp_path / "learned.zip"
    assert "version 2" in run("export", file)
    assert "is 2 of" in run("import", file)
    assert [each.number for each in versions.all()] == [1, 2, 3, 4]
    assert versions.orders() == Orders()
    monkeypatch.setenv("LENGTHWISE_CACHE", str(tmp_path / "another"))
    run("import", file, "--act")
    there = Versions(learned_folder(model), versions.model, print)
    assert [each.number for each in there.all()] == [1]
    assert there.orders().pinned == {"prompt": 1}
    run("export", file, "--version", 1)


def test_forgetting_asks(run: Run, versions: Versions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.confirm", lambda question: False)
    assert "nothing is deleted" in run("forget")
    monkeypatch.setattr("click.confirm", lambda question: True)
    run("forget", 3)
    assert [each.number for each in versions.all()] == [1, 2]
    run("forget", "--yes")
    assert versions.all() == []
    assert versions.orders().barred == {1, 2, 3}
