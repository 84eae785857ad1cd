"""A real Prometheus reads the page of metrics and the alert rules, and answers the dashboard."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry, start_http_server

from lengthwise.live.state import EngineNow
from lengthwise.metrics.exporter import Exporter
from lengthwise.metrics.shipped import alerts, dashboard

PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(
    PROMETHEUS is None, reason="needs Prometheus: apt install prometheus"
)

_PATIENCE_S = 120.0
"""On a busy machine: only ends a test that hangs."""

CONFIG = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}}
rule_files: [alerts.yml]
scrape_configs:
  - job_name: vllm
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""

Ask = Callable[..., Any]


@pytest.fixture
def page() -> Iterator[tuple[CollectorRegistry, int]]:
    """A registry of metrics, and the port on which a server shows it."""
    registry = CollectorRegistry()
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield registry, server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def prometheus(folder: Path, port: int) -> Iterator[Ask]:
    """``ask(path, **parameters)``: the data of an answer of a Prometheus that reads a port."""
    assert PROMETHEUS is not None
    (folder / "prometheus.yml").write_text(CONFIG.format(port=port))
    (folder / "alerts.yml").write_text(alerts())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        own = free.getsockname()[1]
    command = [PROMETHEUS, f"--config.file={folder}/prometheus.yml"]
    command += [f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{own}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{own}/api/v1", timeout=60) as client:

            def ask(path: str, **parameters: str) -> Any:
                assert process.poll() is None, (folder / "log").read_text()[-3000:]
                answer = client.get(path, params=parameters).json()
                assert answer["status"] == "success", answer
                return answer["data"]

            yield ask
    finally:
        process.terminate()
        process.wait(timeout=_PATIENCE_S)


def until(found: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if found():
                return
        except (httpx.TransportError, json.JSONDecodeError):  # it is not ready yet
            pass
        assert time.monotonic() < end
        time.sleep(0.1)


def queries() -> list[str]:
    """The queries of the dashboard as Grafana sends them, with everything chosen."""
    found = []
    for panel in json.loads(dashboard())["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "1m")
            found.append(re.sub(r"\$(job|model_name|instance)\b", ".+", query))
    return found


def later(state: EngineNow, more: int) -> EngineNow:
    """The state after so many steps, in each of which a request of each class gets its due."""
    change = msgspec.structs.replace
    assert state.bound is not None
    return change(
        state,
        totals=change(state.totals, steps=state.totals.steps + more),
        bound=change(state.bound, admitted=state.bound.admitted + 100 * more),
        classes=[
            change(one, finished=one.finished + more, attained=one.attained + more)
            for one in state.classes
        ],
    )


def test_it_answers_the_dashboard_and_evaluates_the_alerts(
    tmp_path: Path, page: tuple[CollectorRegistry, int], state: Any
) -> None:
    registry, port = page
    exporter = Exporter("smol", [0, 1], registry)
    steps = iter(range(1_000_000))
    with prometheus(tmp_path, port) as ask:

        def every_panel_shows_something() -> bool:
            exporter.show([later(state(), next(steps))])
            return all(ask("query", query=query)["result"] for query in queries())

        def every_rule_is_evaluated() -> bool:
            rules = [rule for group in ask("rules")["groups"] for rule in group["rules"]]
            return bool(rules) and {rule["health"] for rule in rules} == {"ok"}

        def the_engine_that_gives_no_answer_is_noticed() -> bool:
            found = [alert["labels"] for alert in ask("alerts")["alerts"]]
            return [(each["alertname"], each["engine"]) for each in found] == [
                ("LengthwiseNoAnswer", "1")
            ]

        until(every_panel_shows_something)
        until(every_rule_is_evaluated)
        until(the_engine_that_gives_no_answer_is_noticed)
