"""Metrics of a real server: two API servers, one engine, and each one's page has them all."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from lengthwise.metrics.families import FAMILIES

PROMTOOL = shutil.which("promtool")

_PATIENCE_S = 300.0
"""On a busy machine: only ends a test that hangs."""

REQUESTS, TOKENS = 6, 8

CLASSES = """
default = "patient"
[class.patient]
deadline = "10h"
[class.urgent]
ttft = "1s"
tenants = ["chat"]
"""


@pytest.fixture(scope="module")
def page(
    serving: Any, model: Path, port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A server's page of metrics after some requests for fewer seats."""
    folder = tmp_path_factory.mktemp("serve")
    (folder / "classes.toml").write_text(CLASSES)
    flags = ["--max-num-seqs", "2", "--api-server-count", "2"]
    flags += ["--classes", str(folder / "classes.toml")]
    with serving(folder / "log", port, flags) as address:

        def ask(_: int) -> None:
            body = {"model": str(model), "prompt": "Rain is", "max_tokens": TOKENS}
            answer = httpx.post(
                f"{address}/v1/completions", json={**body, "ignore_eos": True}, timeout=600
            )
            answer.raise_for_status()

        with ThreadPoolExecutor(REQUESTS) as pool:
            list(pool.map(ask, range(REQUESTS)))
        wanted = re.compile(rf"^lengthwise_requests_finished_total{{.*}} {REQUESTS}\.0$", re.M)
        end, pages = time.monotonic() + _PATIENCE_S, [""]
        # Each connection goes to any of the two API servers.
        while not all(wanted.search(each) for each in pages):
            assert time.monotonic() < end, pages[-1][-3000:]
            time.sleep(0.5)
            pages = [httpx.get(f"{address}/metrics", timeout=60).text for _ in range(8)]
        yield pages[-1]


def test_every_family_is_there_under_vllms_own_labels(page: str, model: Path) -> None:
    found = {
        sample.name: sample
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
    assert {family.name for family in FAMILIES} <= found.keys()
    theirs = found["vllm:num_requests_running"].labels
    for name, sample in found.items():
        if name.startswith("lengthwise_"):
            assert {label: sample.labels[label] for label in theirs} == theirs
    assert found["lengthwise_up"].value == 1
    assert found["lengthwise_requests_arrived_total"].value == REQUESTS
    assert found["lengthwise_requests_admitted_total"].value == REQUESTS
    assert found["lengthwise_requests_running"].value == 0
    assert found["lengthwise_seats"].value == 2
    assert found["lengthwise_steps_total"].value >= REQUESTS * TOKENS / 2
    assert found["lengthwise_steps_total"].value >= found["lengthwise_full_steps_total"].value > 0
    assert found["lengthwise_bound_admitted_tokens_total"].value > 0


def test_each_class_has_its_own_numbers(page: str) -> None:
    counted = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if "service_class" in sample.labels:
                name = sample.name.removeprefix("lengthwise_class_")
                counted[sample.labels["service_class"], name] = sample.value
    assert counted["patient", "requests_finished_total"] == REQUESTS
    assert counted["patient", "requests_attained_total"] == REQUESTS
    assert counted["urgent", "requests_finished_total"] == 0
    assert counted["patient", "requests_running"] == counted["patient", "requests_waiting"] == 0


@pytest.mark.skipif(PROMTOOL is None, reason="needs promtool: apt install prometheus")
def test_promtool_finds_nothing(page: str) -> None:
    assert PROMTOOL is not None
    ours = re.findall(r"^(?:# (?:HELP|TYPE) )?lengthwise_.*\n", page, re.M)
    assert len(ours) > 2 * len(FAMILIES)
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"], input="".join(ours), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
