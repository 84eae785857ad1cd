import itertools
import sys
import time

import pytest

from lengthwise.bench.turns import SLICE_S, Clock, take_turns

WORK = """
import sys, time
from lengthwise.bench.turns import Clock
name, log, load, work = sys.argv[1], sys.argv[2], float(sys.argv[3]), float(sys.argv[4])
time.sleep(load)
clock = Clock(turns=True)
clock.start()
while clock.now() < work:
    clock.pause()
    start = time.perf_counter()
    while time.perf_counter() - start < 0.05:
        pass
    with open(log, "a") as lines:
        lines.write(f"{name} {start} {time.perf_counter()}\\n")
print("noise on standard output")
sys.exit(int(name == "fails"))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "work.py"
    path.write_text(WORK)
    return str(path)


def test_only_one_works_at_a_time_and_its_clock_counts_only_that(script, tmp_path):
    log = tmp_path / "log"
    names = ("a", "b", "c")
    commands = [[sys.executable, script, name, str(log), "0.1", "4"] for name in names]
    assert take_turns(commands) == [0, 0, 0]
    spans = [line.split() for line in log.read_text().splitlines()]
    spans = sorted((float(start), float(end), name) for name, start, end in spans)
    for (_, end, name), (start, _, other) in itertools.pairwise(spans):
        assert start >= end - 1e-3, f"{name} and {other} at once"
    for name in names:
        worked = sum(end - start for start, end, who in spans if who == name)
        assert worked == pytest.approx(4, abs=0.8)
    changes = sum(a[2] != b[2] for a, b in itertools.pairwise(spans))
    assert changes >= 3 * (4 / SLICE_S - 1)


def test_a_run_that_fails_keeps_nobody_waiting(script, tmp_path):
    log = tmp_path / "log"
    commands = [[sys.executable, script, name, str(log), "0", "0.2"] for name in ("fails", "works")]
    commands.append([sys.executable, "-c", "raise SystemExit(3)"])
    assert take_turns(commands) == [1, 0, 3]


def test_a_clock_without_turns_is_a_clock_that_skips_idleness():
    clock = Clock(turns=False)
    clock.start()
    start = time.perf_counter()
    clock.skip_to(60.0)
    assert 60.0 <= clock.now() < 60.5
    clock.skip_to(10.0)
    assert clock.now() >= 60.0
    clock.pause()
    assert time.perf_counter() - start < 0.5
