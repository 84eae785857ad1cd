"""``lengthwise.simulate`` and its result."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator

import lengthwise as lw
from lengthwise.cli.main import main
from lengthwise.results.schema import shipped

PROFILE = "a100-llama3-8b"


@pytest.fixture(scope="module")
def traffic() -> lw.Workload:
    return lw.synthetic(200, "exp:100", "exp:60", 0)


def test_a_call_gives_the_figures_of_the_command(tmp_path: Path) -> None:
    rows = [f"{0.05 * i:.2f},{20 + i % 7},{5 + 7 * i % 90}" for i in range(120)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["arrival_s,prompt_tokens,output_tokens", *rows]))
    command = ["simulate", str(path), "--profile", PROFILE, "--seats", "4", "--workers", "1"]
    for rates, rate in (("trace", "trace"), ("burst", "burst"), ("6", 6.0)):
        out = tmp_path / rates
        flags = ["--rates", rates, "--policies", "trail,fcfs", "--until", "9", "--out", str(out)]
        assert main([*command, *flags]) == 0
        saved = json.loads((out / "results.json").read_text())["runs"]
        for run, policy in zip(saved, ("trail", "fcfs"), strict=True):
            found = lw.simulate(path, policy, seats=4, rate=rate, until=9).summary()
            del run["simulated_in_s"], found["simulated_in_s"]
            assert found == run


def test_requests_are_drawn_as_the_command_draws_them(tmp_path: Path, traffic: lw.Workload) -> None:
    one = lw.simulate(traffic, "fcfs", requests=50, seed=3, rate=2.0)
    again = lw.simulate(traffic, "fcfs", requests=50, seed=3, rate=2.0)
    other = lw.simulate(traffic, "fcfs", requests=50, seed=4, rate=2.0)
    assert len(one) == 50
    assert np.array_equal(one.finish, again.finish)
    assert not np.array_equal(one.output, other.output)


def test_arrays_agree_with_the_figures(traffic: lw.Workload) -> None:
    result = lw.simulate(traffic, "oracle", seats=4, rate="burst")
    run = result.summary()
    assert run["mean_latency_s"] == result.latency.mean()
    assert run["mean_ttft_s"] == result.ttft.mean()
    assert run["makespan_s"] == result.finish.max()
    assert np.array_equal(result.output, traffic.output)
    assert np.array_equal(result.prompt, traffic.prompt)
    assert "200 of 200 requests under oracle" in repr(result)


def test_the_json_is_a_results_file(traffic: lw.Workload) -> None:
    result = lw.simulate(traffic, "trail", seats=4, rate="burst")
    content = json.loads(result.to_json())
    Draft202012Validator(json.loads(shipped().read_text())).validate(content)
    assert content["runs"] == [result.summary()]
    assert (content["setup"]["seats"], content["setup"]["policies"]) == (4, ["trail@refined"])


def test_a_frame_has_a_row_for_each_request(traffic: lw.Workload) -> None:
    result = lw.simulate(traffic, "fcfs", seats=4, rate="burst")
    frame = result.to_pandas()
    assert len(frame) == 200
    assert frame["latency_s"].mean() == pytest.approx(result.summary()["mean_latency_s"])
    assert (frame["output_tokens"] == traffic.output).all()


def test_without_pandas_it_says_what_to_install(
    traffic: lw.Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = lw.simulate(traffic, "fcfs", rate="burst")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(lw.UserError, match=r"pip install 'lengthwise\[pandas\]'"):
        result.to_pandas()


def test_predicted_lengths_may_be_given(traffic: lw.Workload) -> None:
    knowing = lw.simulate(traffic, "sjf", traffic.output, seats=4, rate="burst")
    oracle = lw.simulate(traffic, "sjf", "oracle", seats=4, rate="burst")
    wrong = lw.simulate(traffic, "sjf", -1.0 * traffic.output + 1e4, seats=4, rate="burst")
    assert np.array_equal(knowing.finish, oracle.finish)
    assert wrong.latency.mean() > knowing.latency.mean()


class Counting(lw.Policy):
    """In order of arrival; remembers how many requests it has ranked."""

    name, source, preemptive = "counting", "none", False
    ranked = 0

    def rank(self, request: lw.Request) -> float:
        self.ranked += 1
        return request.arrival


def test_a_policy_may_be_an_object_or_a_class(traffic: lw.Workload) -> None:
    mine = Counting()
    one, other = (lw.simulate(traffic, policy, seats=4, rate=9.0) for policy in (mine, Counting))
    assert mine.ranked == 0, "a run uses a copy"
    fcfs = lw.simulate(traffic, "fcfs", seats=4, rate=9.0)
    assert np.array_equal(one.finish, fcfs.finish)
    assert np.array_equal(other.finish, fcfs.finish)
    assert one.run.policy == "counting"


def test_what_does_not_fit_is_counted_and_has_no_times() -> None:
    large = lw.Workload(np.zeros(2), np.array([5, 900_000]), np.array([5, 5]))
    result = lw.simulate(large, "fcfs")
    assert (result.run.rejected, result.run.finished) == (1, 1)
    assert math.isnan(result.finish[1])
    nothing = lw.simulate(lw.Workload(np.zeros(1), np.array([900_000]), np.array([5])), "fcfs")
    assert "0 of 1 requests" in repr(nothing)
    Draft202012Validator(json.loads(shipped().read_text())).validate(json.loads(nothing.to_json()))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"policy": "soon"}, "unknown policy 'soon'"),
        ({"policy": 5}, "policy is a name, or a lengthwise.Policy of your own"),
        ({"predictor": "psychic"}, "unknown predictor"),
        ({"predictor": [1.0, 2.0]}, "200 requests are served: as many predicted"),
        ({"predictor": ["x"] * 200}, "numbers"),
        ({"predictor": [-1.0] * 200}, "tokens from 0 up"),
        ({"profile": "none"}, "none"),
        ({"seats": 0}, "at least 1"),
        ({"rate": "often"}, "rate is requests per second"),
        ({"rate": 0}, "rate is requests per second"),
        ({"rate": "trace"}, "has no arrival times"),
        ({"requests": 0}, "at least 1"),
        ({"workload": "nowhere.csv"}, "nowhere.csv"),
    ],
)
def test_bad_input_is_one_line(traffic: lw.Workload, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        lw.simulate(**{"workload": traffic, "policy": "fcfs", **given})
    assert isinstance(caught.value, lw.UserError)
    assert "\n" not in str(caught.value)
