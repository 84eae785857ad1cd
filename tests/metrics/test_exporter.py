"""What the page of metrics says, sample by sample; and what promtool says of the page."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from lengthwise.metrics.exporter import Exporter

PROMTOOL = shutil.which("promtool")


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def value(registry: CollectorRegistry, name: str, engine: int = 0, **labels: str) -> float | None:
    return registry.get_sample_value(name, {"model_name": "smol", "engine": str(engine), **labels})


def test_counters_rise_by_what_was_counted_meanwhile(
    registry: CollectorRegistry, state: Any, totals: Any
) -> None:
    exporter = Exporter("smol", [0], registry)
    for arrived in (0, 3, 3, 10):
        exporter.show([state(totals=totals(arrived=arrived))])
        assert value(registry, "lengthwise_requests_arrived_total") == arrived


def test_counters_go_on_where_an_engine_was_started_again(
    registry: CollectorRegistry, state: Any, totals: Any
) -> None:
    exporter = Exporter("smol", [0], registry)
    exporter.show([state(totals=totals(steps=9, arrived=10))])
    exporter.show([state(totals=totals(steps=2, arrived=10))])
    assert value(registry, "lengthwise_requests_arrived_total") == 20


def test_a_sum_that_falls_a_little_is_no_start(
    registry: CollectorRegistry, state: Any, totals: Any
) -> None:
    exporter = Exporter("smol", [0], registry)
    for spent in (5.0, 4.5, 5.5):
        exporter.show([state(totals=totals(ranking_s=spent))])
    assert value(registry, "lengthwise_ranking_seconds_total") == 5.5


def test_engines_are_apart_and_the_missing_are_down(
    registry: CollectorRegistry, state: Any, totals: Any
) -> None:
    exporter = Exporter("smol", [0, 1], registry)
    assert value(registry, "lengthwise_up", 1) == 0
    exporter.show([state(engine=each, totals=totals(finished=each)) for each in (0, 1)])
    assert value(registry, "lengthwise_requests_finished_total", 1) == 1
    assert exporter.show([state()]) == {1}
    assert value(registry, "lengthwise_up") == 1
    assert value(registry, "lengthwise_up", 1) == 0
    assert value(registry, "lengthwise_seats", 1) == 8
    exporter.silent()
    assert value(registry, "lengthwise_up") == 0


def test_what_nobody_knows_is_nan(registry: CollectorRegistry, state: Any) -> None:
    Exporter("smol", [0], registry).show([state()])
    known = value(registry, "lengthwise_predictor_error_tokens", source="prompt")
    unknown = value(registry, "lengthwise_predictor_error_tokens", source="client")
    assert known == 31.5
    assert unknown is not None
    assert math.isnan(unknown)


def test_a_second_server_of_the_process_has_the_same_metrics(
    registry: CollectorRegistry, state: Any, totals: Any
) -> None:
    for _ in range(2):
        Exporter("smol", [0], registry).show([state(totals=totals(arrived=3))])
    assert value(registry, "lengthwise_requests_arrived_total") == 6


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool: apt install prometheus")
def test_promtool_finds_nothing(registry: CollectorRegistry, state: Any) -> None:
    assert PROMTOOL is not None
    Exporter('a "model"\\', [0], registry).show([state()])
    page = generate_latest(registry)
    assert b'service_class="interactive"' in page
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=page, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


SERVERS = """
import os, sys
import msgspec
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from lengthwise.live.state import EngineNow
from lengthwise.metrics.exporter import Exporter
state = msgspec.json.decode(sys.stdin.buffer.read(), type=EngineNow)
if os.fork() == 0:
    Exporter("smol", [0]).show([state])
    os._exit(0)
assert os.wait()[1] == 0
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
sys.stdout.buffer.write(generate_latest(registry))
"""
"""One process has the metrics, another one's page shows them, as of several API servers."""


def test_every_api_server_shows_what_the_first_one_has(tmp_path: Path, state: Any) -> None:
    import msgspec

    done = subprocess.run(
        [sys.executable, "-c", SERVERS],
        input=msgspec.json.encode(state()),
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    page = done.stdout.decode()
    assert 'lengthwise_up{engine="0",model_name="smol"} 1.0' in page
    assert 'lengthwise_requests_arrived_total{engine="0",model_name="smol"} 30.0' in page
    assert "# HELP lengthwise_up 1 while the engine answers" in page
