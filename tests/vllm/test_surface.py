"""What lengthwise builds on in vLLM: looked up in the sources of the vLLM that is installed."""

import ast
import re
from pathlib import Path

import pytest

from lengthwise.errors import UserError
from lengthwise.vllm import engine, surface
from lengthwise.vllm.settings import Settings
from lengthwise.vllm.sources import Sources

OURS = Path(surface.__file__).parent
ROOT = surface.installed()

pytestmark = [
    pytest.mark.versions,
    pytest.mark.skipif(ROOT is None, reason="vLLM is not installed: make test installs it"),
]


@pytest.fixture(autouse=True)
def untold(monkeypatch):
    """Nobody was warned before this test."""
    monkeypatch.setenv(surface._TOLD, "")


@pytest.fixture
def changed(tmp_path):
    """``changed(file, old, new)``: this vLLM's sources with one of them changed."""

    def change(file, old, new):
        here, there = tmp_path, ROOT
        for part in Path(file).parts:
            for each in there.iterdir():
                if each.name != part:
                    (here / each.name).symlink_to(each)
            here, there = here / part, there / part
            if there.is_dir():
                here.mkdir()
        text = there.read_text()
        assert re.search(old, text), f"{old} is not in {file}"
        here.write_text(re.sub(old, new, text))
        return tmp_path

    return change


def test_all_that_we_build_on_is_in_this_vllm():
    assert [str(fit) for fit in surface.fits(ROOT) if fit.missing] == []


SCHEDULER, CLIENT = "v1/core/sched/scheduler.py", "v1/engine/core_client.py"

BROKEN = [
    (SCHEDULER, r"max_num_active_reqs", "max_seats", "max_num_active_reqs", "install vLLM 0.31"),
    (SCHEDULER, r"self\.waiting\b", "self.queue", "waiting", "install vLLM 0.31"),
    (SCHEDULER, r"def schedule\(", "def plan(", "schedule(...)", "install vLLM 0.31"),
    (
        *(SCHEDULER, r"(def _preempt_request\(\s+self, request: Request,) timestamp: float,"),
        r"\1 reason: str, timestamp: float,",
        *("_preempt_request(request, timestamp)", "install vLLM 0.31"),
    ),
    (
        *("v1/core/sched/request_queue.py", r"(class RequestQueue\(ABC\):)"),
        r"\1\n    @abstractmethod\n    def peek_at(self, place): ...",
        *("only(add_request", "install vLLM 0.31"),
    ),
    (
        *("v1/worker/gpu_input_batch.py", "num_computed_tokens_cpu", "computed"),
        *("num_computed_tokens_cpu", "policies without one work"),
    ),
    (
        *("v1/worker/gpu/input_batch.py", "idx_mapping_np", "places"),
        *("idx_mapping_np", "set VLLM_USE_V2_MODEL_RUNNER=0"),
    ),
    ("v1/outputs.py", "def get_output", "def result", "get_output()", "--no-async-scheduling"),
    (CLIENT, "def abort_requests_async", "def stop_async", "abort_requests_async", "all else"),
    (
        *("v1/engine/output_processor.py", "external_req_ids", "names"),
        *("external_req_ids", "serving works"),
    ),
    ("entrypoints/cli/main.py", "def main", "def run", "main", "give vllm serve --scheduler-cls"),
]
"""A file, what is changed in it, what is missing then, and what the user reads."""


@pytest.mark.parametrize(("file", "old", "new", "name", "advice"), BROKEN)
def test_what_is_missing_is_named_with_what_then_works(changed, file, old, new, name, advice):
    lines = [str(fit) for fit in surface.fits(changed(file, old, new)) if fit.missing]
    assert len(lines) == 1, "only one surface has this name"
    assert name in lines[0]
    assert advice in lines[0]
    assert "\n" not in lines[0]


def test_without_its_scheduler_no_version_is_taken(changed):
    root = changed(SCHEDULER, "max_num_active_reqs", "max_seats")
    with pytest.raises(
        UserError, match=r"^vLLM 0\.32\.0: its scheduler lacks .*max_num_active"
    ) as said:
        surface.check("0.32.0", root, surface.ORDER)
    assert "\n" not in str(said.value)


def test_a_vllm_with_other_files_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"lacks vllm\.v1\.core.* and \d+ more: .*0\.33"):
        surface.check("1.0.0", tmp_path, surface.ORDER)


@pytest.mark.parametrize("version", ["0.31.9", "0.32.0", "0.32.1+cpu", "0.33.0.post1", "0.33.1rc2"])
def test_a_known_version_is_taken_without_a_word(version):
    assert surface.check(version, ROOT, surface.ORDER) is None


@pytest.mark.parametrize("version", ["0.34.0", "0.30.1", "1.33.0", "0.320.0", "dev", "0.3.2"])
def test_an_unknown_version_whose_surfaces_fit_runs_with_one_warning(version):
    warning = surface.check(version, ROOT, surface.ORDER)
    assert version in warning
    assert "0.31.x, 0.32.x, 0.33.x" in warning
    assert surface.check(version, ROOT, surface.ORDER) is None


SLICED = Settings(policy="trail+slice:8")
PROBING = Settings(policy="trail", probe="builtin")
RECORDING = Settings(policy="fcfs", record=[3])


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        (Settings(), []),
        (SLICED, [surface.CLIENT]),
        (PROBING, [surface.RUNNER_V1, surface.ASYNC_OUTPUT]),
        (RECORDING, [surface.RUNNER_V1, surface.ASYNC_OUTPUT]),
    ],
)
def test_no_more_is_asked_for_than_the_settings_need(settings, needed):
    assert surface.beside(settings, second_runner=False, asynchronous=True) == needed
    second = [surface.RUNNER_V2 if each is surface.RUNNER_V1 else each for each in needed]
    assert surface.beside(settings, second_runner=True, asynchronous=True) == second
    waited = [each for each in needed if each is not surface.ASYNC_OUTPUT]
    assert surface.beside(settings, second_runner=False, asynchronous=False) == waited


def test_without_its_clients_slices_are_refused_and_all_else_works(changed, monkeypatch):
    root = changed(CLIENT, "def abort_requests_async", "def stop_async")
    monkeypatch.setattr(surface, "installed", lambda: root)
    engine.check_vllm(Settings(), PROBING)
    with pytest.raises(UserError, match="cannot be served in slices"):
        engine.check_vllm(Settings(), SLICED)


@pytest.mark.parametrize(
    ("cpu", "chosen", "second"), [(True, None, False), (False, None, True), (False, "0", False)]
)
def test_the_runner_that_vllm_would_take_is_asked_for(cpu, chosen, second, changed, monkeypatch):
    monkeypatch.setattr(engine, "is_cpu_build", lambda: cpu)
    monkeypatch.delenv("VLLM_USE_V2_MODEL_RUNNER", raising=False)
    if chosen is not None:
        monkeypatch.setenv("VLLM_USE_V2_MODEL_RUNNER", chosen)
    assert engine.runs_v2() == second
    root = changed("v1/worker/gpu/input_batch.py", "idx_mapping_np", "places")
    monkeypatch.setattr(surface, "installed", lambda: root)
    engine.check_vllm(Settings())
    if second:
        with pytest.raises(UserError, match="VLLM_USE_V2_MODEL_RUNNER=0"):
            engine.check_vllm(PROBING)
    else:
        engine.check_vllm(PROBING)


def test_asking_imports_nothing_of_vllm(tmp_path):
    """Importing vLLM takes seconds; a command that is refused says so at once."""
    import subprocess
    import sys

    code = (
        "import sys; from lengthwise.vllm.engine import check_vllm; check_vllm(); "
        "assert 'vllm' not in sys.modules and 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# The lists in surface.py are whole: what our code uses of vLLM is in them.

_SCHEDULER = "v1.core.sched.async_scheduler:AsyncScheduler"
_RUNNERS = (
    "v1.worker.gpu_model_runner:GPUModelRunner",
    "v1.worker.gpu.model_runner:GPUModelRunner",
)

CALLED = {
    "scheduler": {_SCHEDULER},
    "runner": {*_RUNNERS},
    "worker": {"v1.worker.gpu_worker:Worker"},
    "request": {"v1.request:Request", "v1.engine:EngineCoreRequest"},
    "params": {"sampling_params:SamplingParams"},
    "sampling_params": {"sampling_params:SamplingParams"},
    "config": {"config:VllmConfig", "config:SchedulerConfig"},
    "vllm_config": {"config:VllmConfig"},
    "batch": {"v1.worker.gpu_input_batch:InputBatch", "v1.worker.gpu.input_batch:InputBatch"},
    "scheduler_output": {"v1.core.sched.output:SchedulerOutput"},
    "model_runner_output": {"v1.outputs:ModelRunnerOutput"},
    "manager": {
        "v1.core.kv_cache_manager:KVCacheManager",
        "v1.core.single_type_kv_cache_manager:SingleTypeKVCacheManager",
    },
    "client": {
        *("v1.engine.core_client:InprocClient", "v1.engine.core_client:SyncMPClient"),
        "v1.engine.core_client:AsyncMPClient",
    },
    "_engine": {"v1.engine.llm_engine:LLMEngine"},
}
"""How our code calls vLLM's objects, as a variable or an attribute of one."""

ONLY_IN = {
    "client": {"client.py"},
    "_engine": {"driver.py"},
    "batch": {"runner_v1.py", "runner_v2.py"},
}
"""Elsewhere an object of our own is called so."""

OWN = {
    *("lengthwise", "clock", "arrivals", "prediction_stats", "remaining", "predict"),
    *("evict", "answer", "paused"),
}
"""What we put onto these objects, or our own scheduler has more than vLLM's."""

NOT_IN = {
    # Starlette's request, a model's configuration, a plain dictionary.
    "request": {"endpoint.py"},
    "config": {"feeding.py", "ours.py"},
}
"""There an object of somebody else is called so."""

SINCE_0_33 = {"num_executed_steps", "last_prefill_step"}
"""What is only asked where vLLM's scheduler has ``local_prefill_interval``."""


def listed(*places):
    return {
        re.match(r"\w+", use)[0]
        for each in surface.SURFACES
        for place in places
        for use in each.uses.get(place, ())
    }


def used(path):
    """(what it is called, attribute) of each attribute that a file reads of something."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            holder = node.value
            name = getattr(holder, "id", None) or getattr(holder, "attr", "")
            yield name.removeprefix("_") if name != "_engine" else name, node.attr


@pytest.mark.parametrize("called", CALLED)
def test_what_we_use_of_an_object_of_vllm_is_listed(called):
    found = {
        (path.name, attribute)
        for path in OURS.rglob("*.py")
        if path.name != "stub.py"
        for name, attribute in used(path)
        if name == called and attribute not in OWN | SINCE_0_33
        if path.name in ONLY_IN.get(called, {path.name}) - NOT_IN.get(called, set())
    }
    assert found, f"nothing of ours is called {called} any more"
    known = listed(*CALLED[called])
    assert sorted(each for each in found if each[1] not in known) == []


def test_what_our_scheduler_uses_and_overrides_of_vllms_is_listed():
    ours, theirs = Sources(OURS), Sources(ROOT).definition(*_SCHEDULER.split(":"))
    known = listed(_SCHEDULER)
    for module, name in (("scheduler", "Scheduler"), ("stock", "StockScheduler")):
        own = ours.definition(module, name)
        overridden = {each for each in own.methods if each in theirs.names}
        assert overridden - known - {"__init__"} == set()
        read = {each for called, each in used(OURS / f"{module}.py") if called == "self"}
        assert (read & theirs.names) - known == set()
