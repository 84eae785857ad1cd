import json
from pathlib import Path

import pytest

from lengthwise.bench.compare import compare
from lengthwise.bench.job import JobOutcome
from lengthwise.bench.plan import BenchPlan
from lengthwise.bench.worker import REFUSED
from lengthwise.core.service import Classes, ServiceClass, Target
from lengthwise.errors import UserError
from lengthwise.results.files import read_requests
from lengthwise.results.timings import Times, Timing, seen, work
from lengthwise.workload.prompts import Prompt

COSTS = dict.fromkeys(
    (
        *("steps", "schedule_s", "ranking_s", "predict_s", "prompt_s", "service_s"),
        *("pauses", "evictions", "recomputed_tokens", "slices"),
    ),
    1,
)


@pytest.fixture
def model(model_of):
    """All that the command itself reads of a model."""
    return model_of({"[unk]": 0, "hi": 1})


def plan(model, *policies, **more):
    prompts = more.pop("prompts", [Prompt(f"p:{i}", "hi") for i in range(3)])
    return BenchPlan(model, prompts, list(policies), more.pop("probe", None), cap=9, **more)


class Engines:
    """Serves the runs at a token a second, one request after another."""

    def __init__(self):
        self.runs = []

    def __call__(self, runs):
        self.runs.append(runs)
        return [self._serve(run) for run in runs]

    def _serve(self, run):
        timings, now = [], 0.0
        for i, request in enumerate(run.requests):
            timing = Timing(request.id, request.arrival)
            for tokens in range(1, i + 3):
                now = max(now, timing.arrival) + 1.0
                timing.saw(now, [7] * tokens, tokens == i + 2)
            timings.append(timing)
        windows = [[0.0, 1, 2, 3, 4, 5.0]]
        return JobOutcome(seen(Times.of(timings)), work(COSTS, now), timings, windows)


def test_a_policy_may_bring_its_own_predictors(model, saved_predictors, tmp_path, checked):
    engines = Engines()
    one, other, third = (
        saved_predictors(tmp_path / name, model) for name in ("one", "other", "third")
    )
    policies = ["stock", "trail", f"trail@{other}", f"sjf@{third}"]
    compare(plan(model, *policies, probe=one), tmp_path, engines)
    assert [(run.policy, run.probe) for run in engines.runs[0]] == [
        ("stock", one),
        ("trail", one),
        ("trail", other),
        ("sjf", third),
    ]
    runs = checked(tmp_path)["runs"]
    assert [run["predictors"] for run in runs] == [None, one, other, third]
    assert [run["policy"] for run in runs] == ["stock", "trail", "trail", "sjf"]


def test_a_policy_that_predicts_wants_predictors(model, tmp_path):
    with pytest.raises(UserError, match="policy sjf predicts: give it --predictor"):
        compare(plan(model, "stock", "trail@here", "sjf"), tmp_path, Engines())


def test_lengthwise_needs_none(model, tmp_path, checked):
    compare(plan(model, "stock", "lengthwise:0.1", "lengthwise+fair"), tmp_path, Engines())
    runs = checked(tmp_path)["runs"]
    assert [run["policy"] for run in runs] == ["stock", "lengthwise:0.1", "lengthwise+fair"]
    assert [run["predictors"] for run in runs] == [None, None, None]


def test_a_policy_may_be_told_nothing_beside_others_that_are(
    model, saved_predictors, tmp_path, checked, capsys
):
    engines, probe = Engines(), saved_predictors(tmp_path / "probe", model)
    policies = ["stock", "trail", "lengthwise", "lengthwise@none"]
    compare(plan(model, *policies, probe=probe), tmp_path, engines)
    assert [(run.policy, run.probe) for run in engines.runs[0][1:]] == [
        ("trail", probe),
        ("lengthwise", probe),
        ("lengthwise", None),
    ]
    assert [run["predictors"] for run in checked(tmp_path)["runs"]] == [None, probe, probe, None]
    # Only where the name alone would not tell them apart.
    table = capsys.readouterr().out
    assert table.count("lengthwise@none") == 1
    assert "stock@none" not in table


def test_a_policy_that_predicts_is_not_served_without(model, saved_predictors, tmp_path):
    probe = saved_predictors(tmp_path / "probe", model)
    with pytest.raises(UserError, match="policy trail@none predicts: give it --predictor"):
        compare(plan(model, "stock", "trail@none", probe=probe), tmp_path, Engines())


def test_only_the_oracle_is_told_the_lengths_of_a_run_before(model, tmp_path):
    engines = Engines()
    compare(plan(model, "stock", "oracle"), tmp_path, engines)
    measured, compared = engines.runs
    assert [run.policy for run in measured] == ["stock"]
    assert all(request.tokens is None for request in measured[0].requests)
    assert [request.tokens for request in compared[1].requests] == [2, 3, 4]


def test_what_the_steps_took_is_kept_beside_the_requests(model, tmp_path):
    compare(plan(model, "stock", "fcfs"), tmp_path, Engines())
    for number in (0, 1):
        assert json.loads((tmp_path / f"steps-{number}.json").read_text()) == [[0, 1, 2, 3, 4, 5]]
        assert len((tmp_path / f"requests-{number}.jsonl").read_text().splitlines()) == 3


def test_tenants_and_priorities_travel_with_the_requests(model, tmp_path):
    engines = Engines()
    prompts = [Prompt("p:0", "hi", "a", 3), Prompt("p:1", "hi")]
    compare(plan(model, "stock", prompts=prompts, until=1), tmp_path, engines)
    (run,) = engines.runs[0]
    assert run.until == 1
    assert [(it.tenant, it.priority) for it in run.requests] == [("a", 3), (None, 0)]
    kept = [json.loads(line) for line in (tmp_path / "requests-0.jsonl").read_text().splitlines()]
    assert [(it["tenant"], it["priority"]) for it in kept] == [("a", 3), (None, 0)]


def test_prompts_that_do_not_fit_are_left_out_of_every_run(model, tmp_path, capsys):
    """The context is 64 tokens, the cap 9."""
    engines = Engines()
    prompts = [Prompt("p:0", "hi"), Prompt("p:1", "hi " * 56), Prompt("p:2", "hi " * 55)]
    given = plan(model, "stock", "oracle", prompts=prompts, rates=[None, 2.0])
    compare(given, tmp_path, engines)
    for runs in engines.runs:
        for run in runs:
            assert [request.id for request in run.requests] == ["p:0", "p:2"]
    assert "1 prompt left out: longer than the model's context" in capsys.readouterr().err


def test_a_run_that_is_refused_says_why_in_the_benchs_one_line(model, tmp_path, monkeypatch):
    """What a process finds out only when its engine is built."""
    monkeypatch.setattr("lengthwise.bench.compare.check_memory", lambda *_, **__: None)

    def refusing(commands):
        for *_, target, _, _ in commands:
            Path(target).write_text(json.dumps("vLLM did not start: too small"))
        return [REFUSED for _ in commands]

    monkeypatch.setattr("lengthwise.bench.compare.take_turns", refusing)
    with pytest.raises(UserError, match=r"^policy fcfs: vLLM did not start: too small$"):
        compare(plan(model, "fcfs"), tmp_path)


def test_with_classes_each_run_says_what_they_got(model, tmp_path, checked, capsys):
    quick = ServiceClass("quick", Target(ttft=1.5), tenants=("web",))
    classes = Classes((quick, ServiceClass("rest")), "rest")
    prompts = [Prompt(f"p:{i}", "hi", tenant="web" if i < 2 else None) for i in range(3)]
    settings = {"classes": classes.plain()}
    asked = plan(model, "stock", "fcfs", prompts=prompts, settings=settings)
    compare(asked, tmp_path, Engines())
    saved = checked(tmp_path)
    assert saved["setup"]["classes"] == classes.plain()
    for run in saved["runs"]:
        # One after another, a token a second: the first begins after 1 s, the second after 3.
        assert [run["classes"][name]["requests"] for name in ("quick", "rest")] == [2, 1]
        assert run["classes"]["quick"]["attained_share"] == 0.5
        assert run["goodput_requests_per_s"] == pytest.approx(1 / 9)
    assert [row.service for row in read_requests(tmp_path, 0)] == ["quick", "quick", "rest"]
    assert "by service class" in capsys.readouterr().out
