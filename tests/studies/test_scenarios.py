"""Traffic in which the order matters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Linear
from lengthwise.studies import scenarios
from lengthwise.workload import Workload, synthetic

TIME = Linear("small", "test", base=0.01, prefill=1e-4, decode=0.0, context=0.0)
WORKLOAD = synthetic(500, "exp:100", "exp:20", 0)


def times(scenario: str, rate: float) -> np.ndarray:
    return scenarios.arrivals(WORKLOAD, scenario, rate, seed=3).arrival


@pytest.mark.parametrize("scenario", scenarios.SCENARIOS)
def test_arrivals_are_in_order_from_0_on_and_the_same_again(scenario: str) -> None:
    found = times(scenario, 20.0)
    assert found[0] == 0.0
    assert (np.diff(found) >= 0).all()
    assert np.array_equal(found, times(scenario, 20.0))


def test_loads_are_shares_of_the_rate() -> None:
    found = times("episode", 40.0)
    minutes = np.histogram(found, [0, 60, 120, 300])[0] / np.array([60, 60, 180]) / 40.0
    assert minutes == pytest.approx([0.6, 1.5, 0.6], rel=0.1)
    assert 10_000 / times("1.05", 40.0)[-1] == pytest.approx(42.0, rel=0.05)
    spikes = times("spikes", 2.0)
    assert ((spikes > 29) & (spikes < 33)).sum() == pytest.approx(2000, abs=20)
    assert len(times("burst", 2.0)) == 2000


def test_load_1_is_what_an_engine_can_serve() -> None:
    """A step of 0.01 s, and 0.0001 s a prompt token: 4 seats give 400 tokens/s without prompts."""
    equal = Workload(np.zeros(50), np.full(50, 1), np.full(50, 20))
    rate = scenarios.capacity(equal, TIME, Setup(seats=4, budget=64), seed=0)
    assert rate == pytest.approx(4 / (20 * 0.01), rel=0.05)


def test_the_table_has_every_policy_beside_the_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lengths.csv"
    rows = zip(WORKLOAD.prompt, WORKLOAD.output, strict=True)
    lines = ["prompt_tokens,output_tokens", *(f"{p},{o}" for p, o in rows)]
    path.write_text("\n".join(lines))
    given = ["--scenarios", "burst", "--seeds", "0", "--seats", "16", "--kv-blocks", "2000"]
    monkeypatch.setattr("sys.argv", ["scenarios", str(path), *given])
    scenarios.main()
    out = capsys.readouterr().out
    assert "fcfs" in out
    assert "lengthwise@none" in out
    assert "1.000" in out
