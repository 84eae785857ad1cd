"""What is simulated of a trace, and what had to be assumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lengthwise.advise.advice import find
from lengthwise.advise.gather import Options, gathered, setup_of
from lengthwise.calibration import Calibration
from lengthwise.errors import UserError
from lengthwise.sim.steps import Linear
from lengthwise.traces import LeftOut, Trace
from lengthwise.workload import Workload

SPEED = Calibration(Linear("a", "b", 0.01, 0.0001, 0.0001, 0.0), "made up", None, seats=4)
OPTIONS = Options(("lengthwise",), (1.25,), target=1.0)


def test_sizes_that_nothing_tells_are_assumed_and_said() -> None:
    setup, notes = setup_of(SPEED)
    assert (setup.seats, setup.budget, setup.blocks * setup.block_size) == (4, 2048, 400_000)
    assert len(notes) == 2
    assert "--budget" in notes[0]
    assert "--kv-tokens" in notes[1]


def test_the_busiest_requests_in_a_row_are_simulated() -> None:
    gaps = np.concatenate([np.full(60, 1.0), np.full(40, 0.1), np.full(60, 1.0)])
    workload = Workload(np.cumsum(gaps) - gaps[0], np.full(160, 10), np.full(160, 10), name="rush")
    plan, source, _ = gathered(
        Trace(workload, "plain", 160), SPEED, Options(("lengthwise",), (1.0,), target=1.0, most=40)
    )
    assert len(plan.workload) == 40
    assert plan.workload.rate == pytest.approx(10.0)
    assert len(source.whole) == 160
    assert any("40 of the 160 requests" in note for note in source.notes)


def test_rows_left_out_are_in_the_notes(traffic: Callable[..., Workload]) -> None:
    trace = Trace(traffic(50, 1.0), "plain", 53, (LeftOut(3, "no output tokens"),), ("ms",))
    _, source, _ = gathered(trace, SPEED, OPTIONS)
    assert "3 rows left out: no output tokens" in source.notes
    assert "ms" in source.notes
    assert any("53 rows" in note for note in source.notes)


def test_stock_comes_first_and_stock_with_a_watermark_last(
    traffic: Callable[..., Workload],
) -> None:
    plan, _, _ = gathered(Trace(traffic(50, 1.0), "plain", 50), SPEED, OPTIONS)
    assert [str(each) for each in plan.contenders] == [
        "fcfs",
        "lengthwise",
        "fcfs (watermark 1 %)",
    ]
    assert plan.loads == (1.0, 1.25)


def test_what_the_data_does_not_tell_is_not_compared(traffic: Callable[..., Workload]) -> None:
    options = Options(("lengthwise", "trail@data"), (1.0,), target=1.0)
    plan, source, _ = gathered(Trace(traffic(50, 1.0), "plain", 50), SPEED, options)
    assert not any(each.predictor == "data" for each in plan.contenders)
    assert any("trail@data is left out" in note for note in source.notes)


def test_a_target_is_half_as_much_again_as_now(traffic: Callable[..., Workload]) -> None:
    trace = Trace(traffic(300, 4.5), "plain", 300)
    plan, _, known = gathered(trace, SPEED, Options(("lengthwise",), (1.0,)))
    assert plan.target is None
    outcome = plan.simulator(plan.contenders[0], 1.0).run()
    now = float(np.quantile(outcome.first - plan.workload.arrival, 0.99))
    found = find(plan, known, workers=1)
    assert found.plan.target == pytest.approx(max(1.5 * now, 1.0), rel=0.05)


def test_requests_that_no_memory_holds_are_said_or_refused() -> None:
    workload = Workload(np.arange(4) * 1.0, np.array([10, 10, 900, 10]), np.full(4, 10))
    small = replace(SPEED, kv_tokens=160)
    _, source, _ = gathered(Trace(workload, "plain", 4), small, OPTIONS)
    assert any("1 requests are larger than the KV memory" in note for note in source.notes)
    with pytest.raises(UserError, match="no request fits into 16 tokens of KV memory"):
        gathered(Trace(workload, "plain", 4), replace(SPEED, kv_tokens=16), OPTIONS)


def test_unknown_policies_are_refused() -> None:
    with pytest.raises(UserError, match="policy 'nope'"):
        Options(("nope",), (1.0,)).check()
