import numpy as np
import pytest

from lengthwise.cli.main import main
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.padded import SliceTime
from lengthwise.padded.base import Batch, Constants
from lengthwise.results.files import plain
from lengthwise.sim.padded import FromSteps, Instances, Slower, load_batch_time, requests_of
from lengthwise.sim.predictors import make_predictor
from lengthwise.sim.steps import load_profile
from lengthwise.studies.capped import capped
from lengthwise.studies.padded import Batches
from lengthwise.studies.sweep import BURST, SweepPlan, sweep
from lengthwise.workload import Workload, applications, synthetic

PROFILE = "a100-llama2-13b-hf"
TIME = SliceTime((1e-5, 1e-4, 1e-4, 1e-2), (1e-6, 1e-4, 1e-6, 2e-2))


def workload(*pairs):
    prompt, output = zip(*pairs, strict=True)
    return Workload(np.zeros(len(pairs)), np.array(prompt), np.array(output))


def run(pairs, slice=None, memory=10_000, generated=0):
    given = workload(*pairs)
    requests = requests_of(given)
    for request in requests:
        request.generated = generated
    return Instances(requests, given, TIME, memory).start(0, Batch(requests, slice))()


def test_a_batch_takes_its_prefill_and_the_longest_answers_steps():
    ran = run([(10, 5), (30, 9)])
    assert ran.seconds == pytest.approx(TIME.prefill(2, 30) + TIME.decode(2, 30, 8))
    assert (ran.steps, ran.tokens, ran.finished) == (9, [5, 9], [True, True])


def test_a_slice_ends_early_for_the_unfinished():
    ran = run([(10, 5), (30, 9)], slice=6)
    assert (ran.steps, ran.tokens, ran.finished) == (6, [5, 6], [True, False])


def test_what_was_generated_is_read_again_and_not_generated_again():
    ran = run([(10, 5), (30, 9)], generated=3)
    assert ran.seconds == pytest.approx(TIME.prefill(2, 33) + TIME.decode(2, 33, 5))
    assert ran.tokens == [2, 6]


def test_a_batch_that_outgrows_memory_computes_until_then_for_nothing():
    ran = run([(10, 5), (30, 9)], memory=70)
    assert ran.out_of_memory
    assert ran.seconds == pytest.approx(TIME.prefill(2, 30) + TIME.decode(2, 30, 4))
    assert (ran.steps, ran.tokens) == (5, [0, 0])
    assert not run([(10, 5), (30, 9)], memory=78).out_of_memory


def test_times_from_steps_are_the_steps_added_up():
    steps = load_profile(PROFILE)
    time = FromSteps(steps)
    one_by_one = sum(steps.seconds(0, 4, 4 * (100 + i)) for i in range(1, 11))
    assert time.decode(4, 100, 10) == pytest.approx(one_by_one)
    assert time.prefill(4, 100) == steps.seconds(400, 0, 400)
    assert Slower(time, 1.5).prefill(4, 100) == pytest.approx(1.5 * time.prefill(4, 100))


def test_the_fitted_model_is_near_a_roofline():
    time = FromSteps(load_profile(PROFILE))
    fitted = SliceTime.profiled(time, 24_576, 2048)
    assert fitted.error < 0.15
    for size, length in ((4, 300), (12, 1000), (30, 500)):
        exact = time.prefill(size, length) + time.decode(size, length, 127)
        assert fitted.slice(size, length, 128) == pytest.approx(exact, rel=0.15)


def test_slice_times_of_a_bench_are_a_profile(tmp_path):
    given = SliceTime(TIME.prefills, TIME.decodes, "made", 0.1)
    given.save(tmp_path / "slice_time.json")
    assert load_batch_time(str(tmp_path / "slice_time.json")) == given


def plan(workload, policies, **changed):
    serving = changed.pop("serving", Batches(memory=8192, cap=512))
    given = {"profile": PROFILE, "setup": None, "rates": [BURST], "workers": 1}
    return SweepPlan(workload, policies, serving=serving, **(given | changed))


def figures_of(workload, *policies, **changed):
    return {
        f"{run['policy']}@{run['predictor']}" if "@" in spec else spec: run
        for spec, run in zip(
            policies, sweep(plan(workload, policies, **changed), None), strict=True
        )
    }


def test_magnus_doubles_the_throughput_of_fixed_batches():
    found = figures_of(
        applications(1500, 0),
        *("vanilla", "glp@forest", "abp@forest", "magnus@forest"),
        profile="v100-chatglm-6b-hf",
        serving=Batches(memory=14_336),
    )
    rates = {name: run["requests_per_s"] for name, run in found.items()}
    assert rates["glp@forest"] > 1.3 * rates["vanilla"]
    assert rates["abp@forest"] > rates["glp@forest"]
    assert rates["magnus@forest"] > 2 * rates["vanilla"]
    waited = {name: run["mean_latency_s"] for name, run in found.items()}
    assert waited["magnus@forest"] < 0.7 * waited["abp@forest"]


def test_scls_doubles_the_throughput_of_fixed_batches_step_by_step():
    lengths = synthetic(1200, "lognormal:220:1.0", "lognormal:280:0.9", 0)
    ladder = ("sls", "sls+slices", "sls+similar", "sls+adaptive", "sls+maxmin", "scls")
    given = Workload(lengths.arrival, np.minimum(lengths.prompt, 1024), lengths.output)
    found = figures_of(given, *ladder, serving=Batches(instances=4, cap=1024))
    rates = [found[name]["requests_per_s"] for name in ladder]
    assert rates[-1] > 2 * rates[0]
    assert rates[1] > 1.2 * rates[0]
    assert rates[3] > 1.2 * rates[2]
    assert found["sls+similar"]["pad_tokens"] < found["sls+slices"]["pad_tokens"] / 4
    assert found["sls+slices"]["invalid_tokens"] < found["sls"]["invalid_tokens"] / 2


def test_runs_have_the_fields_others_rely_on():
    found = figures_of(synthetic(50, "constant:40", "exp:80", 0), "vanilla", "scls", "ccb", "vsq")
    for name, run in found.items():
        assert run.finished == run.requests == 50
        assert run["slices_per_request"] >= 1
        assert run["batches"] > 0 if name != "ccb" else run["seats"] > 0
    assert found["ccb"]["output_tokens"] == found["vanilla"]["output_tokens"]


def test_shortest_first_serves_sooner_and_wastes_less_than_first_come():
    given = synthetic(400, "constant:50", "lognormal:150:1.0", 0)
    serving = Batches(memory=20_000, cap=1024, constants=Constants(size=8))
    found = figures_of(given, "vanilla", "ssjf@oracle", serving=serving, until=100)
    first, shortest = found["vanilla"], found["ssjf@oracle"]
    assert shortest["output_tokens"] == first["output_tokens"]
    assert shortest["mean_latency_s"] < 0.7 * first["mean_latency_s"]
    assert shortest["invalid_tokens"] < 0.2 * first["invalid_tokens"]
    assert shortest["until_s"] < 0.5 * first["until_s"]


def test_the_seconds_until_so_many_had_finished_are_in_every_run():
    given = synthetic(50, "constant:40", "exp:80", 0)
    names = ("vanilla", "scls", "ccb", "vsq")
    for run in figures_of(given, *names, until=50).values():
        assert (run["until"], run["until_s"]) == (50, pytest.approx(run["makespan_s"]))
    for run in figures_of(given, *names, until=51).values():
        assert run["until_s"] is None
    assert "until_s" not in figures_of(given, "vanilla")["vanilla"]


def test_answers_are_cut_at_the_cap():
    long = synthetic(20, "constant:10", "constant:900", 0)
    found = figures_of(long, "vanilla", serving=Batches(cap=100))
    assert found["vanilla"]["output_tokens"] == 2000


def test_quantisation_is_its_stated_factors():
    given = synthetic(200, "constant:100", "exp:100", 0)
    same = Batches(memory=4096, cap=412, constants=Constants(quantised_time=1, quantised_memory=2))
    twice = figures_of(given, "vanilla", "vsq", serving=same)
    assert twice["vsq"]["mean_batch_size"] == pytest.approx(2 * 200 / 25, rel=0.1)
    slow = Constants(quantised_time=1.5, quantised_memory=1)
    slower = figures_of(
        given, "vanilla", "vsq", serving=Batches(memory=4096, cap=412, constants=slow)
    )
    assert slower["vsq"]["makespan_s"] == pytest.approx(1.5 * slower["vanilla"]["makespan_s"])


def test_iteration_level_scheduling_on_several_instances_is_each_ones_own():
    given = synthetic(40, "constant:30", "exp:60", 0)
    steps = load_profile(PROFILE)
    parts, times = capped(given, steps, 2, 4)
    assert (times.tokens == given.output).all()
    whole = {name: value for part in parts for name, value in plain(part).items()}
    ends = []
    for i in (0, 1):
        part = Workload(given.arrival[i::2], given.prompt[i::2], given.output[i::2])
        ends.append(capped(part, steps, 1, 4)[0][0].makespan_s)
    assert whole["makespan_s"] == pytest.approx(max(ends))
    assert whole["load_imbalance_s"] == pytest.approx(np.std(ends))


def test_the_forest_has_learned_what_the_prompt_and_the_application_tell():
    given = applications(1500, 1)
    said = make_predictor("forest").at_arrival(given, np.random.default_rng(0))
    error = np.abs(said - given.output).mean()
    assert error < 0.5 * np.abs(np.median(given.output) - given.output).mean()


def test_requests_are_what_a_system_may_see():
    (request,) = requests_of(workload((7, 9)))
    assert isinstance(request, Request)
    assert (request.prompt_tokens, request.generated, request.initial) == (7, 0, None)


def test_the_command_compares_systems_and_saves(tmp_path, capsys, checked):
    out = tmp_path / "out"
    status = main(
        [
            *("simulate", "padded", "--synthetic", "applications"),
            *("--requests", "60", "--profile", PROFILE, "--policies", "vanilla,magnus@forest,scls"),
            *("--rates", "3,burst", "--workers", "1", "--constants", "slice=64", "--out", str(out)),
            *("--until", "20"),
        ]
    )
    assert status == 0
    saved = checked(out)
    assert [run["finished"] for run in saved["runs"]] == [60] * 6
    assert [run["rate"] for run in saved["runs"]] == [3.0] * 3 + [None] * 3
    assert saved["setup"]["constants"]["slice"] == 64
    said = capsys.readouterr().out
    assert "magnus@forest" in said
    assert "first 20" in said
    assert "burst" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--policies", "sls+slices"], "lengthwise simulate padded"),
        (["padded", "--policies", "trail"], "none of padded batches"),
        (["padded", "--policies", "scls", "--constants", "slices=1"], "choose from"),
        (["padded", "--policies", "scls", "--kv-tokens", "100"], "cannot hold"),
        (["padded", "--policies", "scls", "--instances", "0"], "at least 1"),
        (["padded", "--policies", "scls", "--max-tokens", "0"], "at least 1"),
    ],
)
def test_what_cannot_be_served_is_one_line_and_status_2(arguments, said, capsys):
    made = ["--synthetic", "constant:50,exp:50", "--requests", "10", "--workers", "1"]
    assert main(["simulate", *arguments, *made]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_an_unknown_system_is_refused():
    with pytest.raises(UserError, match="none of padded batches"):
        Batches().predictor("sooner")
