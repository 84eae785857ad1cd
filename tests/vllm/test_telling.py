"""Who is told of decisions: whatever fails there, the scheduler never notices."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lengthwise.live.decision import Decision
from lengthwise.live.journal import Journal
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.telling import Told, close_first, decisions, listen

pytest.importorskip("pythonjsonlogger", reason="comes with vLLM")

from pythonjsonlogger.json import JsonFormatter

PAUSED = Decision(1, 5.0, "paused", 17, "cmpl-\x1b", "seat", winner=23, left=310.0)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time to write."""
    monkeypatch.setattr("lengthwise.live.log._PATIENCE_S", 600.0)


def config(endpoint: str | None = None, rank: int = 0) -> Any:
    return SimpleNamespace(
        parallel_config=SimpleNamespace(data_parallel_index=rank),
        observability_config=SimpleNamespace(otlp_traces_endpoint=endpoint),
    )


def tell(settings: Settings, given: Any = None) -> None:
    journal = Journal()
    told = listen(journal, settings, given or config(), {}.get)
    journal.add(PAUSED)
    told.close()


def test_the_file_of_each_rank(tmp_path: Path) -> None:
    settings = Settings(log=str(tmp_path / "log.jsonl"))
    tell(settings)
    tell(settings, config(rank=1))
    tell(replace(settings, log=None))
    assert sorted(each.name for each in tmp_path.iterdir()) == ["log.jsonl", "log.rank-1.jsonl"]
    assert json.loads((tmp_path / "log.rank-1.jsonl").read_text())["number"] == 17


def test_vllms_log_has_them_at_level_debug_structured(caplog: pytest.LogCaptureFixture) -> None:
    tell(Settings())
    assert not caplog.records
    caplog.set_level(logging.DEBUG, decisions.name)
    tell(Settings())
    (record,) = caplog.records
    assert record.getMessage() == "r17 paused for r23: 310 tokens left, no recompute"
    said = json.loads(JsonFormatter("%(levelname)s %(message)s").format(record))
    assert said["levelname"] == "DEBUG"
    assert said["lengthwise"] | {"kind": "paused", "winner": 23} == said["lengthwise"]
    assert said["lengthwise"]["request"] == r"cmpl-\x1b"


def test_a_log_that_cannot_be_opened_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tell(Settings(log=str(tmp_path)))
    assert ["serves without it" in each.getMessage() for each in caplog.records] == [True]


def test_an_endpoint_that_nobody_can_send_to_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    # Its protocol is one that vLLM does not know.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "pigeon")
        tell(Settings(), config("http://127.0.0.1:1"))
    assert ["pigeon" in each.getMessage() for each in caplog.records] == [True]


class Failing:
    """Fails at its second decision, and at its end."""

    def __init__(self) -> None:
        self.told: list[Decision] = []

    def add(self, decision: Decision) -> None:
        if self.told:
            raise ValueError("no more")
        self.told.append(decision)

    def close(self) -> None:
        raise OSError("gone")


def test_a_listener_that_fails_hurts_nobody_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    journal, failing, others = Journal(), Failing(), list[Decision]()
    told = Told(journal)
    told.add(lambda: failing)
    journal.listeners.append(others.append)
    for _ in range(5):
        journal.add(PAUSED)
    told.close()
    assert (len(failing.told), len(others)) == (1, 5)
    assert [each.levelname for each in caplog.records] == ["ERROR", "WARNING"]


def test_an_engine_closes_what_it_told_before_its_workers_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends: list[str] = []

    class EngineCore:
        def __init__(self, told: Any) -> None:
            self.scheduler = SimpleNamespace(told=told)

        def shutdown(self, timeout: float = 0.0) -> float:
            ends.append("workers")
            return timeout

    class Ending:
        def add(self, decision: Decision) -> None:
            pass

        def close(self) -> None:
            ends.append("told")

    module = SimpleNamespace(EngineCore=EngineCore)
    monkeypatch.setitem(sys.modules, "vllm.v1.engine.core", module)
    close_first()
    close_first()
    told = Told(Journal())
    told.add(Ending)
    assert EngineCore(told).shutdown(timeout=3.0) == 3.0
    told.close()
    assert ends == ["told", "workers"]
    assert EngineCore(None).shutdown() == 0.0
