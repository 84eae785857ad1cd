import json
import sys
from contextlib import contextmanager

import pytest

from lengthwise.bench import plan as plans
from lengthwise.bench.front import Front
from lengthwise.bench.routers import RouterPlan, compare_routers
from lengthwise.cli.main import main
from lengthwise.errors import UserError
from lengthwise.results.files import plain
from lengthwise.workload.prompts import Prompt

pytest.importorskip("ray.serve", reason="needs Ray Serve: pip install lengthwise[ray]")
pytest.importorskip("vllm", reason="needs vLLM: pip install lengthwise[vllm]")


@pytest.fixture
def model(model_of, monkeypatch):
    """A model with a tokenizer of digits: a prompt of 3 is answered with three tokens."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "0")
    return model_of({str(i): i for i in range(10)})


@pytest.fixture
def start(server):
    """Starts nothing: the test's own server stands for the replicas."""
    server.pace = 0.005

    @contextmanager
    def started(route):
        server.routers.append(f"start {route.settings.policy}")
        yield Front(server.address, route.replicas, server.use_router)

    return started


def plan(model, policies, routers, n=8, **more):
    base = {name: more.pop(name) for name in ("rates", "loads", "seats") if name in more}
    prompts = [Prompt(f"p:{i}", f"{1 + i % 9}") for i in range(n)]
    base_plan = plans.BenchPlan(model, prompts, policies, None, cap=9, **base)
    return RouterPlan(base_plan, routers, **more)


def test_routers_alternate_and_replicas_start_once_a_policy(model, server, start, tmp_path):
    given = plan(model, ["fcfs", "mlfq"], ["p2c", "round-robin"], rates=[200.0], repeat=2)
    runs = compare_routers(given, tmp_path / "out", start)
    order = ["round-robin", *["p2c", "round-robin"] * 2]
    assert server.routers == ["start fcfs", *order, "start mlfq", *order]
    assert [run["router"] for run in runs] == ["p2c", "round-robin"] * 4
    assert [run["repeat"] for run in runs] == [0, 0, 1, 1] * 2


def test_all_routers_get_the_same_requests_at_the_same_times(model, start, tmp_path, checked):
    given = plan(model, ["fcfs"], ["p2c", "least-in-flight"], rates=[100.0], repeat=2)
    runs = compare_routers(given, tmp_path, start)
    assert checked(tmp_path)["study"] == "bench-routers"
    files = [tmp_path / f"requests-{i}.jsonl" for i in range(4)]
    kept = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    arrivals = [[row["arrival"] for row in rows] for rows in kept]
    assert arrivals[0] == arrivals[1]
    assert arrivals[2] == arrivals[3]
    assert arrivals[0] != arrivals[2]
    assert {row["replica"] for row in kept[0]} == {"r0", "r1"}
    assert all(row["sent"] >= row["arrival"] for row in kept[0])
    assert [run["other_answers"] for run in runs] == [0] * 4
    assert json.loads((tmp_path / "results.json").read_text())["runs"] == plain(runs)


def test_each_run_has_prefixes_of_its_own(model, server, start, tmp_path):
    compare_routers(plan(model, ["fcfs"], ["p2c", "round-robin"]), tmp_path, start)
    salts = [body["cache_salt"] for body in server.bodies]
    assert len(set(salts[-8:])) == len(set(salts[-16:-8])) == 1
    assert salts[-1] != salts[-9]


def test_loads_are_shares_of_a_burst_that_is_not_reported(model, start, tmp_path):
    given = plan(model, ["fcfs"], ["round-robin"], rates=[], loads=[0.5, 1.0], seats=1)
    runs = compare_routers(given, tmp_path, start)
    setup = json.loads((tmp_path / "results.json").read_text())["setup"]
    assert [run["load"] for run in runs] == [0.5, 1.0]
    assert runs[1]["rate"] == pytest.approx(setup["capacity_requests_per_s"])
    assert runs[0]["rate"] == pytest.approx(runs[1]["rate"] / 2)


def test_another_answer_to_the_same_prompt_is_counted(model, server, start, tmp_path):
    honest = server.use_router

    def changes(name):
        honest(name)
        server.first = 500 if name == "least-in-flight" else 100

    server.use_router = changes
    runs = compare_routers(plan(model, ["fcfs"], ["p2c", "least-in-flight"]), tmp_path, start)
    assert [run["other_answers"] for run in runs] == [0, 8]


def test_a_route_that_answers_nothing_is_said(model, server, start, tmp_path):
    given = plan(model, ["fcfs"], ["p2c"], n=6)

    def refuses(name):
        if name == "p2c":
            server.script.update(dict.fromkeys(range(10), "refuse"))

    server.use_router = refuses
    with pytest.raises(UserError, match="p2c over fcfs finished no request: HTTP 400"):
        compare_routers(given, tmp_path, start)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--routers nope --policies fcfs", "unknown router 'nope'"),
        ("--routers p2c,, --policies fcfs", "unknown router ''"),
        ("--routers p2c --policies nope", "unknown policy 'nope'"),
        ("--routers p2c --policies stock", "--policies fcfs decides as stock does"),
        ("--routers p2c --policies oracle", "needs true lengths"),
        ("--routers p2c --policies trail", "give --predictor"),
        ("--routers p2c,predicted --policies fcfs", "give --predictor"),
        ("--routers p2c --policies vanilla", "runs whole batches"),
        ("--routers p2c --policies fcfs --instances 0", "--instances must be at least 1"),
        ("--routers p2c --policies fcfs --seats 0", "--seats must be at least 1"),
        ("--routers p2c --policies fcfs --repeat 0", "--repeat must be at least 1"),
        ("--routers p2c --policies fcfs --report-interval 0", "--report-interval must be above 0"),
        ("--routers p2c --policies fcfs --loads 0", "--loads must be above 0"),
    ],
)
def test_bad_input_is_one_line(model, tmp_path, capsys, options, said):
    out = tmp_path / "out"
    assert main(["bench", "routers", str(model), *options.split(), "--out", str(out)]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert not out.exists()


def test_without_ray_it_says_what_to_install(model, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray.serve", None)
    assert main(["bench", "routers", str(model), "--routers", "p2c", "--policies", "fcfs"]) == 2
    assert "pip install 'lengthwise[ray]'" in capsys.readouterr().err
