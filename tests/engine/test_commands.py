"""collect, train and bench, on the real engine and in small."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lengthwise.answers.files import SHARD, finished_ids, read_shards

PROMPTS = 48

Lengthwise = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def lengthwise(forks: Any) -> Lengthwise:
    """``lengthwise(*arguments)``: the command, run to its end."""
    return partial(forks, "lengthwise")


@pytest.fixture(scope="module")
def short_prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many prompts that collect is far from its end when it is killed."""
    path = tmp_path_factory.mktemp("prompts") / "short.jsonl"
    lines = [json.dumps({"prompt": f"What is {i} plus {i + 1}?"}) for i in range(PROMPTS)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def collected(
    model: Path,
    short_prompts: Path,
    environment: dict[str, str],
    lengthwise: Lengthwise,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Data of a collect that was killed after its first shard and then run again.

    Every answer is saved as it finishes: the kill comes long before there are many of them.
    """
    folder = tmp_path_factory.mktemp("collected") / "data"
    arguments = ["collect", model, "--prompts", short_prompts, "--out", folder]
    arguments += ["--max-tokens", 32, "--seats", 8, "--layers", "10,20", "--save-every", 0]
    command = [sys.executable, "-m", "lengthwise.cli", *map(str, arguments)]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 600
    while not list(folder.glob("shard-*.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = finished_ids(folder)
    # Not because there were enough of them for a file.
    first = json.loads((folder / "shard-00000.json").read_text())
    assert 0 < len(first) < SHARD
    assert len(before) < PROMPTS, "killed too late to test anything"
    done = lengthwise(*arguments)
    assert done.returncode == 0, done.stderr[-2000:]
    assert finished_ids(folder)[: len(before)] == before
    return folder


def test_collect_resumes_and_marks_censored(collected: Path) -> None:
    rows = read_shards(collected)
    assert sorted(row["id"] for row, _ in rows) == sorted(f"short:{i + 1}" for i in range(PROMPTS))
    assert 0 < sum(row["censored"] for row, _ in rows) < PROMPTS
    for row, arrays in rows:
        # An answer may also end by itself at exactly the cap.
        assert row["output_tokens"] == 32 if row["censored"] else row["output_tokens"] <= 32
        assert arrays["ages"][0] == 0
        assert arrays["states"].shape == (len(arrays["ages"]), 2, 576)
        assert np.isfinite(arrays["mean"]).all()


def test_collect_refuses_other_options(
    model: Path, short_prompts: Path, collected: Path, lengthwise: Lengthwise
) -> None:
    done = lengthwise(
        *("collect", model, "--prompts", short_prompts, "--out", collected),
        *("--max-tokens", 64, "--layers", "10,20"),
    )
    assert done.returncode == 2
    assert "cap=32" in done.stderr


def test_collect_samples_more_prompts_than_one_step_can_read(
    model: Path, lengthwise: Lengthwise, tmp_path: Path
) -> None:
    """Seeded requests whose prompts together exceed a step's budget of 2,048 tokens."""
    words = " ".join(f"thing{i}" for i in range(150))
    lines = [json.dumps({"prompt": f"{i}: shorten {words}"}) for i in range(6)]
    (tmp_path / "long.jsonl").write_text("\n".join(lines))
    done = lengthwise(
        *("collect", model, "--prompts", tmp_path / "long.jsonl", "--max-tokens", 4),
        *("--temperature", 1.0, "--seed", 3, "--layers", 10, "--out", tmp_path / "data"),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [row for row, _ in read_shards(tmp_path / "data")]
    assert len(rows) == 6
    assert sum(len(row["prompt_ids"]) for row in rows) > 2048


@pytest.fixture(scope="module")
def base_model(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model as a base model would be: without a chat template, and with a short context."""
    folder = tmp_path_factory.mktemp("base") / "base"
    shutil.copytree(model, folder)
    (folder / "chat_template.jinja").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 96}))
    return folder


@pytest.fixture(scope="module")
def some_too_long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six prompts, two of which are longer than a context of 96 tokens less a cap of 16."""
    path = tmp_path_factory.mktemp("prompts") / "mixed.jsonl"
    texts = [f"{i}: " + "word " * (200 if i % 3 == 2 else 5) for i in range(6)]
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    return path


def test_a_base_model_is_collected_and_benched_with_the_prompts_that_fit(
    base_model: Path, some_too_long: Path, lengthwise: Lengthwise, tmp_path: Path
) -> None:
    notes = (
        "lengthwise: model base has no chat template: prompts are served as they are",
        "lengthwise: 2 prompts left out: longer than the model's context of 96 tokens "
        "less --max-tokens",
    )
    given = (base_model, "--prompts", some_too_long, "--max-tokens", 16, "--seats", 2)
    done = lengthwise("collect", *given, "--out", tmp_path / "data", "--layers", 10)
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(note in done.stderr.splitlines() for note in notes)
    rows = [row for row, _ in read_shards(tmp_path / "data")]
    assert sorted(row["id"] for row in rows) == ["mixed:1", "mixed:2", "mixed:4", "mixed:5"]
    done = lengthwise("bench", *given, "--policies", "stock,mlfq", "--out", tmp_path / "results")
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(note in done.stderr.splitlines() for note in notes)
    runs = json.loads((tmp_path / "results" / "results.json").read_text())["runs"]
    assert [run["finished"] for run in runs] == [4, 4]


def test_train_then_serve_a_burst(
    model: Path,
    short_prompts: Path,
    collected: Path,
    lengthwise: Lengthwise,
    tmp_path: Path,
    checked: Callable[[Path], dict[str, Any]],
) -> None:
    done = lengthwise("train", "trail", collected, "--out", tmp_path / "probe", "--epochs", 2)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout)
    assert set(report["layers_mae_tune"]) == {"10", "20"}
    done = lengthwise(
        *("bench", model, "--prompts", short_prompts, "--requests", 10, "--max-tokens", 16),
        *("--seats", 2, "--policies", "stock,trail,oracle", "--predictor", tmp_path / "probe"),
        *("--rates", "burst,50", "--out", tmp_path / "results"),
    )
    assert done.returncode == 0, done.stderr[-2000:]
    runs = checked(tmp_path / "results")["runs"]
    assert [(run["policy"], run["rate"]) for run in runs] == [
        (policy, rate) for rate in (None, 50.0) for policy in ("stock", "trail", "oracle")
    ]
    for run in runs:
        assert run["finished"] == run["requests"] == 10
        assert run["other_answers"] == 0
        assert run["output_tokens"] == runs[0]["output_tokens"]
        assert 0 < run["mean_ttft_s"] <= run["mean_latency_s"] <= run["makespan_s"] + 1
    by_policy = {run["policy"]: run for run in runs}
    assert by_policy["trail"]["predictor_ms_per_step"] > 0
    assert by_policy["stock"]["predictor_ms_per_step"] == 0


def test_a_probe_of_another_model_is_refused(
    model: Path, lengthwise: Lengthwise, tmp_path: Path
) -> None:
    from lengthwise.predictors.store import predictors_folder

    foreign = tmp_path / "foreign"
    shutil.copytree(predictors_folder("builtin"), foreign)
    described = json.loads((foreign / "predictors.json").read_text())
    described["model"] = "llama-32x4096-0123456789abcdef"
    (foreign / "predictors.json").write_text(json.dumps(described))
    done = lengthwise("serve", model, "--predictor", foreign, "--port", 0)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "belongs to model llama-32x4096" in done.stderr


def test_too_little_memory_is_one_line(
    model: Path, environment: dict[str, str], lengthwise: Lengthwise
) -> None:
    greedy = {**environment, "VLLM_CPU_KVCACHE_SPACE": "4000"}
    given = (model, "--predictor", "builtin", "--port", 0)
    done = lengthwise("serve", *given, environment=greedy)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "not enough memory" in done.stderr


def test_a_failing_engine_is_one_line_that_names_its_log(
    model: Path, environment: dict[str, str], lengthwise: Lengthwise, tmp_path: Path
) -> None:
    """With weights of other shapes than the model's config says, which no check looks at."""
    broken, out = tmp_path / "broken", tmp_path / "out"
    shutil.copytree(model, broken)
    config = json.loads((broken / "config.json").read_text())
    config["intermediate_size"] += 64
    (broken / "config.json").write_text(json.dumps(config))
    quiet = {name: value for name, value in environment.items() if name != "VLLM_LOGGING_LEVEL"}
    done = lengthwise(
        *("bench", broken, "--policies", "stock", "--requests", 2, "--max-tokens", 4),
        *("--out", out),
        environment=quiet,
    )
    assert done.returncode == 2
    (said,) = done.stderr.splitlines()
    log = Path(said.rpartition(" its whole log is in ")[2])
    assert log == out / "engine-0.log"
    assert "Traceback" in log.read_text()
