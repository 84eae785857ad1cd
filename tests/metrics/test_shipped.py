"""Dashboard and alert rules: as built, of metrics that exist, read by the tools' own types."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lengthwise.metrics.families import FAMILIES
from lengthwise.metrics.shipped import alerts, dashboard

ROOT = Path(__file__).parents[2]

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="needs promtool: apt install prometheus"
)

BOARD: dict[str, Any] = json.loads(dashboard())


RULES = [rule for group in yaml.safe_load(alerts())["groups"] for rule in group["rules"]]


def queries() -> Iterator[str]:
    """The queries of all panels, with Grafana's variables filled in."""
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            query = target["expr"].replace("$__rate_interval", "1m")
            yield re.sub(r"\$(job|model_name|instance)\b", ".*", query)


def test_the_dashboard_is_what_the_script_builds() -> None:
    pytest.importorskip("grafana_foundation_sdk", reason="needs grafana-foundation-sdk: make")
    script = "import grafana; print(grafana.build(), end='')"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT / "dashboards",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == dashboard(), "run make dashboard"


def test_grafanas_own_types_read_it() -> None:
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard")
    encoder = pytest.importorskip("grafana_foundation_sdk.cog.encoder").JSONEncoder
    read = models.Dashboard.from_json(BOARD)
    assert json.loads(encoder().encode(read)) == BOARD


def test_it_has_the_variables_and_the_tag_of_vllms_own() -> None:
    variables = BOARD["templating"]["list"]
    assert [each["name"] for each in variables] == ["datasource", "job", "model_name", "instance"]
    assert BOARD["tags"] == ["vllm"]
    assert [link["includeVars"] for link in BOARD["links"] if link["tags"] == ["vllm"]] == [True]
    chosen = 'job=~"$job", model_name=~"$model_name", instance=~"$instance"'
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            assert target["expr"].count("{") == target["expr"].count(chosen), panel["title"]


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_dashboard_and_alerts_ask_for_metrics_that_exist() -> None:
    known = {family.name for family in FAMILIES}
    asked = [*queries(), *(rule["expr"] for rule in RULES)]
    found = {name for query in asked for name in re.findall(r"lengthwise_\w+", query)}
    assert found <= known
    assert known - found <= {
        "lengthwise_policy_info",
        "lengthwise_predictor_judged_requests",
        "lengthwise_learner_starts_total",
    }


def test_labels_of_dashboard_and_alerts_exist() -> None:
    known = {label for family in FAMILIES for label in family.labels}
    known |= {"job", "instance", "model_name", "engine"}
    asked = [*queries(), *(rule["expr"] for rule in RULES)]
    for query in asked:
        for names in re.findall(r"(?:by|without) \(([^)]*)\)", query):
            assert set(names.split(", ")) <= known, query
        for names in re.findall(r"\{([^}]*)\}", query):
            assert set(re.findall(r"(\w+)(?:=~|!=|=)", names)) <= known, query


@needs_promtool
def test_every_query_of_the_dashboard_can_be_parsed(tmp_path: Path) -> None:
    assert PROMTOOL is not None
    rules = [{"record": f"query:{n}", "expr": query} for n, query in enumerate(queries())]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run([PROMTOOL, "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"{len(rules)} rules found" in done.stdout


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then() -> None:
    assert PROMTOOL is not None
    cases = Path(__file__).with_name("alerts.yml")
    done = subprocess.run([PROMTOOL, "test", "rules", cases], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tried = cases.read_text()
    for name in re.findall(r"- alert: (\w+)", alerts()):
        assert f'"{name}", alertstate="firing"' in tried or f"alertname: {name}\n" in tried, name


def test_every_alert_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "guides" / "operate.md").read_text()
    assert re.findall(r"^\| `(Lengthwise\w+)` ", guide, re.M) == re.findall(
        r"- alert: (\w+)", alerts()
    )
