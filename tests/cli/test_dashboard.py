"""``lengthwise dashboard`` prints the files that the package ships, and nothing else."""

from __future__ import annotations

import json

import pytest

from lengthwise.cli.main import main
from lengthwise.metrics import shipped


def test_it_prints_the_dashboard_and_with_a_word_the_alerts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["dashboard"]) == 0
    out = capsys.readouterr().out
    assert out == shipped.dashboard()
    assert json.loads(out)["title"] == "vLLM / lengthwise"
    assert main(["dashboard", "grafana"]) == 0
    assert capsys.readouterr().out == out
    assert main(["dashboard", "alerts"]) == 0
    assert capsys.readouterr().out == shipped.alerts()
