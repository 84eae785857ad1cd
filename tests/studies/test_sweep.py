import json
import math
from dataclasses import replace

import pytest

from lengthwise.cli.main import main
from lengthwise.core.classes_file import classes_of
from lengthwise.core.service import Classes, ServiceClass, Target
from lengthwise.errors import UserError
from lengthwise.results.files import plain, read_requests
from lengthwise.results.runs import interval
from lengthwise.sim.setup import Setup
from lengthwise.studies.sweep import BURST, SweepPlan, split, sweep
from lengthwise.workload import synthetic
from lengthwise.workload.class_mix import with_mix

PROFILE = "a100-llama3-8b"


def plan(**changed):
    given = {
        "workload": synthetic(400, "constant:40", "exp:150", 0),
        "policies": ["fcfs", "trail@lognormal:0.5", "oracle"],
        "profile": PROFILE,
        "setup": Setup(seats=8),
        "rates": [9.0, 4.0],
        "seeds": 2,
        "requests": 300,
        "workers": 1,
    }
    return SweepPlan(**(given | changed))


@pytest.fixture(scope="module")
def runs(tmp_path_factory, checked):
    out = tmp_path_factory.mktemp("sweep")
    found = sweep(plan(), out)
    return found, checked(out)


def test_every_case_is_there_in_the_plans_order(runs):
    found, saved = runs
    cases = [(run["rate"], run["policy"], run["seed"]) for run in found]
    names = ("fcfs", "trail", "oracle")
    assert cases == [(r, p, s) for r in (9.0, 4.0) for p in names for s in (0, 1)]
    assert saved["runs"] == plain(found)


def test_every_request_is_served(runs):
    for run in runs[0]:
        assert run["finished"] == run["requests"] == 300
        assert run["engine"] == "simulator"


def test_knowing_the_lengths_helps_where_requests_queue(runs):
    latency = {(r["policy"], r["rate"], r["seed"]): r["mean_latency_s"] for r in runs[0]}
    for rate in (9.0, 4.0):
        for seed in (0, 1):
            assert latency["oracle", rate, seed] < latency["trail", rate, seed]
            assert latency["trail", rate, seed] < latency["fcfs", rate, seed]


def test_two_processes_give_the_same_figures(runs):
    again = sweep(plan(workers=2), None)

    def timeless(all_):
        return [replace(run, simulated_in_s=0.0) for run in all_]

    assert timeless(again) == timeless(runs[0])


def test_a_rate_above_capacity_is_said(runs):
    assert all(
        run["overloaded"] for run in runs[0] if (run["policy"], run["rate"]) == ("fcfs", 9.0)
    )
    calm = sweep(plan(rates=[0.5], policies=["fcfs"], seeds=1), None)
    assert not calm[0]["overloaded"]


def test_a_policy_has_a_predictor_unless_one_is_named():
    assert split("trail:0.5@oracle") == ("trail:0.5", "oracle")
    assert split("sjf") == ("sjf", "lognormal:0.7")
    assert split("fcfs")[0] == "fcfs"


def test_a_policy_that_can_do_without_a_predictor_is_told_nothing_by_default():
    assert split("lengthwise") == ("lengthwise", "none")
    assert split("lengthwise:0.1+fair") == ("lengthwise:0.1+fair", "none")
    assert split("lengthwise@lognormal:0.8") == ("lengthwise", "lognormal:0.8")


def test_the_command_compares_lengthwise_without_predictions(tmp_path):
    assert (
        main(
            [
                "simulate",
                "--synthetic",
                "exp:50,exp:20",
                "--requests",
                "40",
                "--rates",
                "burst",
                "--seats",
                "4",
                "--workers",
                "1",
                "--out",
                str(tmp_path),
            ]
        )
        == 0
    )
    runs = json.loads((tmp_path / "results.json").read_text())["runs"]
    assert [(run["policy"], run["predictor"]) for run in runs] == [
        ("fcfs", "constant"),
        ("lengthwise", "none"),
        ("trail", "refined"),
        ("oracle", "oracle"),
    ]


def test_the_interval_is_students():
    mean, half = interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert math.isnan(interval([1.0])[1])


@pytest.mark.parametrize(
    "changed", [{"policies": ["sooner"]}, {"profile": "no"}, {"policies": ["sjf@bert"]}]
)
def test_bad_names_are_refused_before_anything_runs(changed):
    with pytest.raises(UserError):
        sweep(plan(**changed), None)


def trace(path, rows):
    lines = ["arrival_s,prompt_tokens,output_tokens", *(",".join(map(str, r)) for r in rows)]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_the_command_serves_a_trace_and_saves(tmp_path, capsys):
    rows = [(round(0.1 * i, 1), 20, 5 + i % 50) for i in range(60)]
    out = tmp_path / "out"
    status = main(
        [
            *("simulate", trace(tmp_path / "t.csv", rows), "--profile", PROFILE),
            *("--policies", "fcfs,oracle", "--seats", "4", "--workers", "1", "--out", str(out)),
        ]
    )
    assert status == 0
    saved = json.loads((out / "results.json").read_text())
    assert [run["finished"] for run in saved["runs"]] == [60, 60]
    assert saved["runs"][0]["output_tokens"] == sum(row[2] for row in rows)
    assert "oracle" in capsys.readouterr().out


def simulated(tmp_path, rows, *more):
    """The results.json of FCFS on a trace."""
    given = ("simulate", trace(tmp_path / "t.csv", rows), "--profile", PROFILE, "--workers", "1")
    assert main([*given, "--policies", "fcfs", "--out", str(tmp_path / "out"), *more]) == 0
    return json.loads((tmp_path / "out" / "results.json").read_text())


ROWS = [(i, 20, 5 + i) for i in range(20)]


def test_so_many_requests_are_the_traces_first_at_its_own_times(tmp_path):
    saved = simulated(tmp_path, ROWS, "--requests", "6", "--from", "2", "--to", "15")
    (run,) = saved["runs"]
    assert run["output_tokens"] == sum(row[2] for row in ROWS[2:8])
    assert run["arrivals"] == "trace"
    assert 5 <= run["makespan_s"] < 6.5
    assert saved["setup"]["resampled"] is False
    assert saved["setup"]["requests"] == 6


def test_at_a_rate_so_many_are_resampled(tmp_path):
    saved = simulated(tmp_path, ROWS, "--requests", "40", "--rates", "5")
    assert saved["setup"]["resampled"] is True
    assert saved["runs"][0]["requests"] == 40


def test_what_was_left_out_is_said_and_saved(tmp_path, capsys):
    saved = simulated(tmp_path, [(3, 9, 5), (0, 9, 4), (1, 9, 0)])
    said = "the rows were not in order of arrival: sorted"
    left = "no output tokens (failed or aborted)"
    setup = saved["setup"]
    assert (setup["rows"], setup["left_out"], setup["found"]) == (3, {left: 1}, [said])
    error = capsys.readouterr().err
    assert f"t: {said}\n" in error
    assert f"t: 1 row left out: {left}\n" in error


def test_a_burst_is_one_of_the_rates(tmp_path, capsys):
    """As the bench takes it; and the trace's own times."""
    rows = [(round(0.1 * i, 1), 20, 5 + i % 50) for i in range(60)]
    out = tmp_path / "out"
    status = main(
        [
            *("simulate", trace(tmp_path / "t.csv", rows), "--profile", PROFILE, "--seats", "4"),
            *("--policies", "fcfs,oracle", "--rates", "2,burst,trace", "--workers", "1"),
            *("--out", str(out)),
        ]
    )
    assert status == 0
    found = json.loads((out / "results.json").read_text())["runs"]
    assert [(run["policy"], run["rate"], run["arrivals"]) for run in found] == [
        (policy, rate, arrivals)
        for rate, arrivals in ((2.0, "gamma"), (None, "burst"), (None, "trace"))
        for policy in ("fcfs", "oracle")
    ]
    by_arrivals = {run["arrivals"]: run for run in found if run["policy"] == "fcfs"}
    assert by_arrivals["burst"]["mean_ttft_s"] > by_arrivals["trace"]["mean_ttft_s"]
    table = capsys.readouterr().out
    assert all(word in table for word in ("2/s", "burst", "trace"))
    # Each kind of arrivals has an FCFS of its own to be compared with.
    assert table.count("1.00x") >= 3


def test_a_burst_in_the_list_is_the_burst_alone():
    alone, both = (
        sweep(plan(rates=rates, policies=["trail"]), None) for rates in ([BURST], [4.0, BURST])
    )
    assert [run["mean_latency_s"] for run in both[2:]] == [run["mean_latency_s"] for run in alone]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(0, 5, 5), (-1, 5, 5)], "line 3"),
        ([(0, 5, 5), (1, 0, 5)], "line 3"),
        ([(0, 5, 0)], "no requests in it (1 left out)"),
    ],
)
def test_a_bad_trace_is_one_line_and_status_2(tmp_path, capsys, rows, said):
    status = main(["simulate", trace(tmp_path / "t.csv", rows), "--profile", PROFILE])
    assert status == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate"],
        ["simulate", "--synthetic", "constant:5"],
        ["simulate", "--synthetic", "constant:5,exp:9", "--rates", "fast"],
        ["simulate", "replay", "nowhere"],
    ],
)
def test_bad_arguments_are_one_line_and_status_2(arguments, capsys):
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_too_large_requests_are_counted_in_the_output(tmp_path, capsys):
    rows = [(0, 5, 5), (0, 5000, 5), (1, 5, 5)]
    arguments = ["--profile", PROFILE, "--kv-blocks", "50", "--policies", "fcfs", "--workers", "1"]
    out = ["--out", str(tmp_path / "out")]
    assert main(["simulate", trace(tmp_path / "t.csv", rows), *arguments, *out]) == 0
    assert "1 requests are larger" in capsys.readouterr().out
    (run,) = json.loads((tmp_path / "out/results.json").read_text())["runs"]
    assert (run["finished"], run["rejected"]) == (2, 1)


def test_with_classes_each_run_says_what_they_got(tmp_path, checked):
    quick = ServiceClass("quick", Target(ttft=1.0), tenants=("quick",))
    classes = Classes((quick, ServiceClass("rest")), "rest")
    workload = with_mix(plan().workload, classes, {"quick": 0.4, "rest": 0.6}, seed=0)
    asked = plan(
        workload=workload,
        policies=["fcfs", "lengthwise+targets"],
        rates=[9.0],
        seeds=1,
        setup=Setup(seats=8, classes=classes),
        requests_in=tmp_path,
    )
    found = sweep(asked, tmp_path)
    saved = checked(tmp_path)
    assert classes_of(saved["setup"]["classes"]) == classes
    for number, run in enumerate(found):
        assert sum(own.requests for own in run["classes"].values()) == 300
        assert run["goodput_requests_per_s"] == run["classes"]["quick"].goodput_requests_per_s
        rows = read_requests(tmp_path, number)
        quick_rows = [row for row in rows if row.service == "quick"]
        assert all(row.tenant == "quick" for row in quick_rows)
        met = sum(row.first - row.arrival <= 1.0 for row in quick_rows)
        assert run["classes"]["quick"].met == met
    fcfs, targets = (run["attained_share"] for run in found)
    assert targets > fcfs
