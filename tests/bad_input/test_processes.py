"""The command as a user runs it: a process of its own that ends at once."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

HEAVY = ("torch", "scipy", "sklearn", "pandas", "transformers", "matplotlib", "vllm", "ray")

PROBE = """
import sys
from lengthwise.cli.main import main
status = main(sys.argv[1:])
print(*[name for name in {heavy} if name in sys.modules])
sys.exit(status)
"""


@pytest.fixture
def nothing_starts() -> None:
    """Here a process is started: the command itself."""


@pytest.mark.parametrize(
    "command",
    [
        "bench {model} --predictor {nowhere} --prompts {prompts.jsonl} --max-tokens 9",
        "bench padded {model} --policies nope",
        "bench routers {model} --routers nope --policies fcfs",
        "collect {nowhere} --out {out}",
        "train ngrams {nowhere} --out {out}",
        "train nope {data} --out {out}",
        "evaluate {nowhere} --out {out}",
        "evaluate {data} --predictors nope --out {out}",
        "simulate {nowhere} --out {out}",
        "record {access.log} --out {out}",
        "theory --seed -1 --out {out}",
        "calibrate {model} --seats 0 --out {out}",
        "serve {model} --policy nope",
        "doctor --url nowhere",
        "route {model} --policy nope",
        "demo --out {file}",
        "report {nowhere}",
    ],
)
def test_a_refusal_loads_nothing_heavy(world: dict[str, str], command: str) -> None:
    words = re.sub(r"{(.+?)}", lambda name: world[name[1]], command).split()
    program = [sys.executable, "-c", PROBE.format(heavy=HEAVY), *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("lengthwise: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout.split() == []
