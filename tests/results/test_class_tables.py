"""What each class got, as a table on the terminal."""

from __future__ import annotations

import numpy as np
import pytest

from lengthwise.core.service import Classes, ServiceClass, Target
from lengthwise.results.attainment import promised
from lengthwise.results.class_tables import show_attainment
from lengthwise.results.record import Labels, Run
from lengthwise.results.timings import Times, seen

CHAT = ServiceClass("chat", Target(ttft=1.0))
CLASSES = Classes((CHAT, ServiceClass("rest"), ServiceClass("nobody")), "rest")


def run(policy: str, wait: float, seed: int = 0) -> Run:
    arrival = np.arange(4.0)
    tokens = np.full(4, 5)
    times = Times(arrival, arrival + wait, arrival + wait + 1.0, np.zeros(4), tokens)
    labels = Labels(
        policy=policy, predictor="none", engine="simulator", model="m", rate=1.0, seed=seed
    )
    got = promised(times, ["chat", "chat", "rest", "rest"], CLASSES)
    return Run.of(labels, seen(times), got)


def test_a_line_for_each_class_with_requests_and_means_over_repetitions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_attainment([run("fcfs", 5.0), run("fcfs", 0.5, seed=1), run("edf", 0.5)])
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]
    assert [row[1:6] for row in cells[:4]] == [
        ["fcfs", "chat", "2", "50.0%", "1"],
        ["fcfs", "rest", "2", "100.0%", "-"],
        ["edf", "chat", "2", "100.0%", "0"],
        ["edf", "rest", "2", "100.0%", "-"],
    ]
    assert not any("nobody" in line for line in lines)
    assert cells[-1] == ["1/s", "edf", "0.444", "2.22", "1", "-"]


def test_without_classes_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    times = Times(*(np.ones(1) * each for each in (0.0, 1.0, 2.0, 0.0)), np.ones(1, int))
    labels = Labels(policy="fcfs", engine="e", model="m", rate=None, seed=0)
    show_attainment([Run.of(labels, seen(times))])
    assert capsys.readouterr().out == ""
