"""What a built wheel holds."""

import hashlib
import shutil
import subprocess
import sys
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
