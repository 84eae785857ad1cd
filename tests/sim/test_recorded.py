import json

import numpy as np
import pytest

from lengthwise.errors import UserError
from lengthwise.policies import make_policy
from lengthwise.predictors.tracks import Track
from lengthwise.sim.engine import Simulator
from lengthwise.sim.predictors import Recorded, make_predictor
from lengthwise.sim.setup import Setup
from lengthwise.sim.steps import load_profile
from lengthwise.traces import read_workload
from lengthwise.workload import Workload, resample

TRACKS = {
    "a": Track(90.0, [0, 8, 16], [50.0, 30.0, 35.0]),
    "b": Track(float("nan"), [8], [4.0]),
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "held_out.jsonl"
    lengths = {"a": 20, "b": 12}
    path.write_text(
        "".join(
            json.dumps(track.record(id, prompt_tokens=5, output_tokens=lengths[id])) + "\n"
            for id, track in TRACKS.items()
        )
    )
    return path


def test_one_file_is_the_workload_and_its_predictions(file):
    workload = read_workload(file)
    assert workload.id == ("a", "b")
    said = make_predictor(f"recorded:{file}").at_arrival(workload, np.random.default_rng(0))
    assert said[0] == 90.0
    assert np.isnan(said[1])


def test_predictions_count_down_until_the_next_one(file):
    playback = Recorded.load(file).start(read_workload(file), np.random.default_rng(0))
    a = np.zeros(1, np.int64)

    def at(index, age):
        return playback.remaining(index, np.ones(1), np.array([age]), np.random.default_rng(0))[0]

    assert [at(a, age) for age in (0, 1, 7, 8, 15, 16, 17, 60)] == [50, 49, 43, 30, 23, 35, 34, 1]
    assert np.isnan(at(a + 1, 7))
    assert [at(a + 1, age) for age in (8, 10, 20)] == [4, 2, 1]


def test_resampled_requests_keep_their_predictions(file):
    many = resample(read_workload(file), 50, seed=1)
    said = Recorded.load(file).at_arrival(many, np.random.default_rng(0))
    assert {(id, length) for id, length in zip(many.id, many.output, strict=True)} == {
        ("a", 20),
        ("b", 12),
    }
    assert (np.isnan(said) == (many.output == 12)).all()


def test_the_simulator_schedules_by_them(file):
    """Two seats short of one: by its recorded predictions b goes first once probed."""
    path = file.with_name("other.jsonl")
    path.write_text(
        json.dumps({"id": "long", "arrival": 100.0, "ages": [0], "remaining": [100.0]})
        + "\n"
        + json.dumps({"id": "short", "arrival": 5.0, "ages": [0], "remaining": [5.0]})
        + "\n"
    )
    workload = Workload(
        np.zeros(2), np.full(2, 5), np.array([100, 5]), name="two", id=("long", "short")
    )
    setup = Setup(seats=1)
    time = load_profile("cpu-smollm2")
    outcome = Simulator(
        workload, make_policy("trail"), make_predictor(f"recorded:{path}"), time, setup
    ).run()
    assert outcome.finish[1] < outcome.finish[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"ages": [], "remaining": [], "arrival": 1}, "no 'id'"),
        ({"id": "x", "ages": [3, 3], "remaining": [1, 1], "arrival": 1}, "ages must increase"),
        ({"id": "x", "ages": [0], "remaining": [], "arrival": 1}, "each have"),
        ({"id": "x", "ages": [0], "remaining": [-1], "arrival": 1}, "not negative"),
        ({"id": "x", "ages": [0.5], "remaining": [1], "arrival": 1}, "whole numbers"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(UserError, match=f"line 1: .*{message}"):
        make_predictor(f"recorded:{path}")


def test_requests_without_ids_or_predictions_are_refused(file):
    recorded = Recorded.load(file)
    nameless = Workload(np.zeros(1), np.ones(1, int), np.ones(1, int))
    with pytest.raises(UserError, match="no ids"):
        recorded.at_arrival(nameless, np.random.default_rng(0))
    other = Workload(np.zeros(1), np.ones(1, int), np.ones(1, int), id=("c",))
    with pytest.raises(UserError, match="request 'c'"):
        recorded.at_arrival(other, np.random.default_rng(0))
