"""The flags of an engine's speed, as a command of its own would take them."""

import json

import click
import numpy as np
import pytest

from lengthwise.cli.calibration import Speed, speed
from lengthwise.cli.main import main
from lengthwise.errors import UserError
from lengthwise.sim.steps import load_profile
from lengthwise.traces.trace import Observed, Trace
from lengthwise.workload import Workload


def flags(*arguments: str) -> Speed:
    found: list[Speed] = []

    @click.command()
    @speed
    def command(speed: Speed) -> None:
        found.append(speed)

    command.main(list(arguments), standalone_mode=False)
    return found[0]


def log(n: int = 40) -> Trace:
    arrival = np.arange(n, dtype=float)
    lengths = np.full(n, 10)
    workload = Workload(arrival, lengths, lengths, name="log.csv")
    return Trace(workload, "log", n, observed=Observed(arrival + 0.1, arrival + 1.0))


def test_without_flags_the_requests_own_times_tell():
    found = flags("--seats", "4").calibration(log())
    assert found.source == "the times of 40 requests of log.csv"
    assert found.seats == 4
    assert found.steps.seconds(0, 1, 15) == pytest.approx(0.1, rel=0.05)


def test_each_flag_is_a_way_and_sizes_that_are_given_stand_above():
    found = flags("--profile", "cpu-smollm2", "--block-size", "32").calibration(None)
    assert found.source == "the profile cpu-smollm2"
    assert found.block_size == 32
    found = flags("--card", "l4", "--model", "llama-3.1-8b", "--kv-tokens", "9").calibration(log())
    assert "the datasheet of l4" in found.source
    assert found.kv_tokens == 9
    assert flags("--profile", "a100-llama3-8b").calibration(None).slowest == 1.5


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("", "nothing says how fast the engine is: give --engine-log FILE"),
        ("--profile nope", "no step-time profile 'nope'"),
        ("--profile cpu-smollm2 --engine-log x", "--profile and --engine-log both say"),
        ("--card l4", "--card and --model go together"),
        ("--model llama-3.1-8b", "--card and --model go together"),
        ("--card l4 --model llama-3.1-8b --profile cpu-smollm2", "--card and --profile both"),
        ("--engine-log nowhere", "nowhere cannot be read"),
        ("--metrics nowhere", "nowhere cannot be read"),
        ("--metrics http://127.0.0.1:9 --watch -1", "--watch must be 0 or more"),
        ("--metrics http://127.0.0.1:9 --watch 0", "does not answer"),
        ("--seats 0", "--seats must be at least 1"),
        ("--kv-tokens 0", "--kv-tokens must be at least 1"),
    ],
)
def test_what_does_not_go_together_is_one_line(arguments, says):
    with pytest.raises(UserError, match=says):
        flags(*arguments.split()).calibration(None)


def test_a_card_becomes_a_profile_for_simulate(tmp_path, capsys):
    out = tmp_path / "card.json"
    assert main(["calibrate", "llama-3.1-8b", "--card", "h100", "--out", str(out)]) == 0
    assert "assumed, not measured" in capsys.readouterr().out
    assert json.loads(out.read_text())["kind"] == "roofline"
    assert 0.006 < load_profile(str(out)).seconds(0, 64, 13_000) < 0.01
