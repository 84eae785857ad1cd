"""The command that measures schedule() with many waiting; what it measures is the machine's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def test_each_policy_has_a_line_with_its_ratio_to_the_first(model: Path, forks: Any) -> None:
    many = ["--waiting", "60", "--seats", "4", "--steps", "40"]
    done = forks("cost.py", model, "--policies", "stock,fcfs,lengthwise", *many)
    assert done.returncode == 0, done.stderr[-3000:]
    told = [line for line in done.stdout.splitlines() if "its state takes" in line]
    assert len(told) == 2, "stock tells nothing"
    lines = [line for line in done.stdout.splitlines() if line not in told]
    assert [line.split(":")[0].strip() for line in lines] == ["stock", "fcfs", "lengthwise"]
    for line in lines:
        ratios = re.findall(r"\((\d+\.\d+)x\)", line)
        assert len(ratios) == 4
        assert all(float(ratio) > 0 for ratio in ratios)
    assert lines[0].count("(1.000x)") == 4
