import io
import sys

import pytest

from lengthwise.bench.turns import SLICE_S, Clock, take_turns

WORK = """
import sys
from lengthwise.bench.turns import SLICE_S, Clock
name, log, work = sys.argv[1], sys.argv[2], int(sys.argv[3])
done = 0
# One third of a slice passes with each piece of work, however long it really takes.
clock = Clock(turns=True, clock=lambda: done * SLICE_S / 3)
clock.start()
while clock.now() < work * SLICE_S / 3:
    clock.pause()
    for what in ("begins", "ends"):
        with open(log, "a") as lines:
            lines.write(f"{name} {what}\\n")
    done += 1
print("noise on standard output")
sys.exit(int(name == "fails"))
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "work.py"
    path.write_text(WORK)
    return str(path)


def test_only_one_works_at_a_time_for_a_slice_in_turn(script, tmp_path):
    log = tmp_path / "log"
    names = ("a", "b", "c")
    commands = [[sys.executable, script, name, str(log), "7"] for name in names]
    assert take_turns(commands) == [0, 0, 0]
    lines = log.read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["begins", "ends"] * 21
    worked = [line.split()[0] for line in lines[::2]]
    assert [line.split()[0] for line in lines[1::2]] == worked
    assert "".join(worked) == "aaabbbccc" * 2 + "abc"


def test_a_run_that_fails_keeps_nobody_waiting(script, tmp_path):
    log = tmp_path / "log"
    commands = [[sys.executable, script, name, str(log), "2"] for name in ("fails", "works")]
    commands.append([sys.executable, "-c", "raise SystemExit(3)"])
    assert take_turns(commands) == [1, 0, 3]


class Machine(io.StringIO):
    """Its seconds, and as standard input turns that come 100 seconds after they were given up."""

    now = 5.0

    def readline(self):
        self.now += 100.0
        return ""


@pytest.fixture
def machine(monkeypatch):
    it = Machine()
    monkeypatch.setattr(sys, "stdin", it)
    return it


def test_a_clock_stands_still_while_another_has_the_turn(machine, capsys):
    clock = Clock(turns=True, clock=lambda: machine.now)
    clock.start()
    assert clock.now() == 0.0
    machine.now += SLICE_S - 0.25
    clock.pause()
    assert capsys.readouterr().out == "give\n", "its slice is not used up"
    machine.now += 0.25
    clock.pause()
    assert capsys.readouterr().out == "give\n"
    assert clock.now() == SLICE_S
    machine.now += 1.0
    clock.pause()
    assert capsys.readouterr().out == ""
    assert clock.now() == SLICE_S + 1.0


def test_a_clock_without_turns_is_a_clock_that_skips_idleness(machine, capsys):
    clock = Clock(turns=False, clock=lambda: machine.now)
    clock.start()
    machine.now += 2.0
    clock.skip_to(60.0)
    assert clock.now() == 60.0
    clock.skip_to(10.0)
    machine.now += 3.0
    assert clock.now() == 63.0
    clock.pause()
    assert (clock.now(), capsys.readouterr().out) == (63.0, "")
