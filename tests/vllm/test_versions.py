"""Every version that lengthwise says it works with has all that it builds on."""

import ast
from pathlib import Path

import pytest

import lengthwise
from lengthwise.vllm import surface
from lengthwise.vllm.sources import Sources


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
