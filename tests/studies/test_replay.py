import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.results import setups
from lengthwise.results.files import RequestRow, write_requests, write_results
from lengthwise.results.record import Labels, Run, Size
from lengthwise.sim.engine import Simulator
from lengthwise.sim.figures import figures
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import Roofline, load_profile
from lengthwise.studies import replay
from lengthwise.workload import synthetic, with_arrivals

PROFILE = "a100-llama3-8b"

SETUP = setups.Bench(
    **{"model": "made", "prompts": 80, "policies": ["stock", "oracle"], "rates": [5.0]},
    **{"loads": [], "seats": 4, "cap": 999, "seed": 0, "until": None, "probe": None},
    **{"cv": 1.0, "trace": None, "kv_blocks": 400, "block_size": 32, "settings": {}},
)


@pytest.fixture
def folder(tmp_path):
    """What a bench would have written, had its engine been the simulator."""
    workload = with_arrivals(synthetic(80, "uniform:4:40", "exp:90", 0), "poisson", 5.0)
    runs = []
    for number, policy in enumerate(("stock", "oracle")):
        name = "fcfs" if policy == "stock" else policy
        setup = Setup(seats=4, block_size=32, blocks=400)
        outcome = Simulator(
            workload, make_policy(name), make_predictor("oracle"), load_profile(PROFILE), setup
        ).run()
        labels = Labels(policy=policy, rate=5.0, engine="made", model="made", seed=0)
        runs.append(Run.of(labels, Size(seats=4), *figures(workload, outcome)))
        rows = [
            RequestRow(
                id=str(i),
                arrival=float(workload.arrival[i]),
                first=float(outcome.first[i]),
                finish=float(outcome.finish[i]),
                longest_gap=0.0,
                tokens=int(workload.output[i]),
                prompt_tokens=int(workload.prompt[i]),
            )
            for i in range(80)
        ]
        write_requests(tmp_path, number, rows)
    write_results(tmp_path, SETUP, runs)
    return tmp_path


def test_a_replay_of_the_simulator_by_itself_is_exact(folder):
    rows = replay.compare(folder, PROFILE, None, Setup())
    assert [row.policy for row in rows] == ["stock", "oracle"]
    for row in rows:
        for name in replay.COMPARED:
            assert getattr(row, name).error == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("policy", "had", "given", "told"),
    [
        ("lengthwise", None, None, "none"),
        ("lengthwise", None, "lognormal:0.5", "none"),
        ("lengthwise", "probe", None, "lognormal:0.7+refined"),
        ("lengthwise", "probe", "lognormal:0.5", "lognormal:0.5"),
        ("trail", "probe", "lognormal:0.5", "lognormal:0.5"),
        ("trail", "probe", None, "refined"),
        ("sjf", "probe", "refined", "lognormal:0.7"),
    ],
)
def test_a_replay_is_told_what_the_bench_had(folder, monkeypatch, policy, had, given, told):
    named = []
    monkeypatch.setattr(replay, "make_predictor", lambda spec: named.append(spec) or make(spec))
    make = make_predictor
    run = replay.read_runs(folder)[0]
    labels = Labels(policy=policy, predictors=had, rate=5.0, engine="made", model="made", seed=0)
    was = replace(run, figures=Run.of(run.figures, labels))
    replay.replay(was, PROFILE, given, Setup())
    assert named == [told]


def test_another_speed_of_the_machine_is_taken_from_the_first_run(folder, tmp_path):
    card = load_profile(PROFILE)
    slow = Roofline(**{**asdict(card), "bandwidth": card.bandwidth / 3, "overhead": 0.006})
    path = tmp_path / "slow.json"
    path.write_text(json.dumps({"kind": "roofline", **asdict(slow), "peak": card.peak / 3}))
    for row in replay.compare(folder, str(path), None, Setup()):
        assert row.speed == pytest.approx(1 / 3, rel=0.01)
        assert abs(row.mean_latency_s.error) < 0.01


def test_a_folder_without_its_requests_is_one_line(folder):
    (folder / "requests-1.jsonl").unlink()
    with pytest.raises(UserError, match="requests-1"):
        replay.read_runs(folder)


def test_a_machine_that_slows_down_half_way_is_followed(folder):
    """Steps that took twice as long after 8 s: the windows tell, and the replay agrees."""
    profile = "cpu-smollm2"
    time = load_profile(profile)
    windows = np.array(
        [[at, 10, 0, 40, 2000, (1 if at < 8 else 2) * 10 * time.seconds(0, 4, 200)]
         for at in (0.0, 4.0, 8.0, 12.0)]
    )  # fmt: skip
    weather = replay.Weather.of(windows, time)
    assert [round(weather(now), 6) for now in (0, 7.9, 8.0, 99)] == [1, 1, 2, 2]
    assert weather.mean == pytest.approx(1.5)
    run = replay.read_runs(folder)[0]
    fair = replay.replay(run, profile, None, Setup())
    slower = replay.replay(run, profile, None, Setup(), slowness=weather)
    twice = replay.replay(run, profile, None, Setup(), slowness=lambda now: 2.0)
    assert fair["makespan_s"] < slower["makespan_s"] < twice["makespan_s"]


def test_the_windows_of_a_bench_are_read(folder):
    windows = [[0.0, 3, 40, 6, 90, 0.5], [5.0, 2, 0, 6, 99, 0.25]]
    (folder / "steps-0.json").write_text(json.dumps(windows))
    first, second = replay.read_runs(folder)
    assert first.windows.tolist() == windows
    assert second.windows is None
    (folder / "steps-0.json").write_text("[1, ")
    with pytest.raises(UserError, match="steps-0"):
        replay.read_runs(folder)
