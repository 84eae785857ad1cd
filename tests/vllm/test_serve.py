"""The flags that ``lengthwise serve`` gives vLLM."""

import json

import numpy as np
import pytest

from lengthwise.core.bins import Bins
from lengthwise.errors import UserError
from lengthwise.models.fingerprint import fingerprint
from lengthwise.predictors.baselines import Constant
from lengthwise.predictors.probe import Probe
from lengthwise.predictors.store import Trained
from lengthwise.predictors.trail import Trail
from lengthwise.vllm import serve
from lengthwise.vllm.serve import build_command, for_cpus
from lengthwise.vllm.settings import KEY, Settings

SPEC = {"hi": 1, "[unk]": 0}


@pytest.fixture(scope="module")
def served(saved_model, tmp_path_factory):
    """A model's folder, and its predictors' with a probe."""
    root = tmp_path_factory.mktemp("served")
    saved_model(root / "model", SPEC)
    bins = Bins.equal(4, 64)
    shares = np.full(len(bins), 1 / len(bins), np.float32)
    trail = Trail(Probe(1, 8, bins, hidden=4))
    prompt = Constant.restore(bins, {}, {"shares": shares})
    Trained(fingerprint(str(root / "model")), trail, prompt, {}).save(root / "probe")
    return str(root / "model"), str(root / "probe")


def command(served, policy, *flags, probe=True):
    """The command, and the settings in it."""
    settings = Settings(policy=policy, probe=served[1] if probe else None)
    built = build_command(served[0], settings, ["--port", "0", *flags])
    config = json.loads(built[built.index("--additional-config") + 1])
    assert built.count("--additional-config") == 1
    return built, Settings.read(config)


def test_on_a_cpu_the_model_is_not_compiled_and_one_line_says_so(capsys):
    assert for_cpus(["--max-num-seqs", "4"]) == [
        *("--max-num-seqs", "4", "--dtype", "float32", "--enforce-eager")
    ]
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--no-enforce-eager" in err


@pytest.mark.parametrize(
    "flags",
    [
        ["--enforce-eager"],
        ["--no-enforce-eager"],
        ["--no_enforce_eager"],
        ["-O3"],
        ["-O", "2"],
        ["-O=1"],
        ["--optimization-level=1"],
        ["--compilation-config", '{"mode": 3}'],
        ["--compilation_config.mode=3"],
        ["-cc.mode=3"],
        ["-cc", '{"mode": 3}'],
        ["--cudagraph-capture-sizes", "1", "2"],
    ],
)
def test_a_flag_of_compiling_decides(capsys, flags):
    assert for_cpus(flags) == [*flags, "--dtype", "float32"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("flags", [["--dtype", "bfloat16"], ["--dtype=bfloat16"]])
def test_the_users_dtype_is_kept(flags):
    assert for_cpus(flags) == [*flags, "--enforce-eager"]


def test_a_configuration_file_is_read(tmp_path):
    path = tmp_path / "vllm.yaml"
    path.write_text("compilation_config:\n  mode: 3\ndtype: bfloat16\n")
    assert for_cpus(["--config", str(path)]) == ["--config", str(path)]
    path.write_text("enforce-eager: false\n")
    assert for_cpus(["--config", str(path)]) == ["--config", str(path), "--dtype", "float32"]


@pytest.mark.parametrize("text", [None, "- 1", "a: ]", "\x00"])
def test_a_configuration_file_that_is_none_is_named(tmp_path, text):
    path = tmp_path / "vllm.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=r"--config .*vllm\.yaml cannot be read"):
        for_cpus(["--config", str(path)])


def test_the_command_is_vllms_serve_with_our_scheduler_and_the_users_flags(served):
    built, settings = command(served, "trail", "--max-num-seqs", "4")
    assert built[1:5] == ["-m", "lengthwise.vllm.launch", "serve", served[0]]
    assert built[built.index("--scheduler-cls") + 1] == "lengthwise.vllm.Scheduler"
    assert built[built.index("--max-num-seqs") + 1] == "4"
    assert "--max-num-active-seqs" not in built  # a CPU's runner needs no slots
    assert settings.probing


def test_the_users_own_additional_config_is_kept(served):
    given = ["--additional-config", '{"theirs": 1}']
    built, _ = command(served, "fcfs", *given, probe=False)
    config = json.loads(built[built.index("--additional-config") + 1])
    assert config["theirs"] == 1
    with pytest.raises(UserError, match="by its own flags"):
        command(served, "fcfs", "--additional-config", json.dumps({KEY: {}}))


def test_a_policy_that_pauses_gets_slots_on_a_gpu(served, monkeypatch):
    monkeypatch.setattr(serve, "is_cpu_build", lambda: False)
    monkeypatch.delenv("VLLM_USE_V2_MODEL_RUNNER", raising=False)
    built, _ = command(served, "trail", "--max-num-seqs", "8", "--dtype", "bfloat16")
    assert built[1:4] == ["-m", "vllm.entrypoints.cli.main", "serve"]
    assert built[-4:] == ["--max-num-active-seqs", "8", "--max-num-seqs", "16"]
    built, _ = command(served, "lengthwise", "--max-num-seqs", "8")
    assert built[-2:] == ["--max-num-seqs", "8"]


@pytest.mark.parametrize("flags", [["-pp", "2"], ["--spec-method", "ngram"]])
def test_where_the_probe_cannot_read_the_server_starts_without_it(served, capsys, flags):
    built, settings = command(served, "trail", *flags)
    assert not settings.probing
    assert (settings.policy, settings.probe) == ("trail", served[1])
    assert built[-len(flags) - 3 : -3] == flags
    lines = capsys.readouterr().err.splitlines()
    assert sum("the probe does not go with" in line for line in lines) == 1


@pytest.mark.parametrize("flags", [["-pp", "2"], ["--spec-method", "ngram"]])
def test_where_no_probe_could_be_learned_one_line_says_so(served, capsys, flags):
    command(served, "lengthwise", *flags, probe=False)
    assert capsys.readouterr().err.count("a learned probe does not go with") == 1
    command(served, "mlfq", *flags, probe=False)
    assert "probe" not in capsys.readouterr().err


def test_a_policy_that_predicts_may_begin_with_nothing(served, capsys):
    command(served, "trail", probe=False)
    assert "until something is learned" in capsys.readouterr().err


def test_a_cache_that_vllm_cannot_read_is_refused(served, monkeypatch):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "0.5")
    with pytest.raises(UserError, match=r"whole number of GiB, not '0\.5'"):
        command(served, "fcfs")


@pytest.mark.parametrize("flags", [["-dp", "1000"], ["--data_parallel_size_local=1000"]])
def test_each_rank_has_a_cache_of_its_own(served, monkeypatch, flags):
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    command(served, "fcfs", "-dp", "1")
    with pytest.raises(UserError, match="1000 engines at once"):
        command(served, "fcfs", *flags)
    # Other machines' ranks do not count.
    command(served, "fcfs", "-dp", "1000", "-dpl", "1")


def test_a_server_that_only_runs_engines_needs_no_port(served):
    with pytest.raises(UserError, match="--port"):
        command(served, "fcfs", "--port", "70000")
    command(served, "fcfs", "--port", "70000", "--headless")
