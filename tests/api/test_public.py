"""What ``import lengthwise`` gives, and what it costs."""

from __future__ import annotations

import ast
import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import lengthwise
from lengthwise.policies.registry import POLICIES

ROOT = Path(__file__).parents[2]


def test_the_public_names_are_sorted_and_there() -> None:
    assert lengthwise.__all__ == sorted(set(lengthwise.__all__))
    for name in lengthwise.__all__:
        assert getattr(lengthwise, name).__doc__
        assert name in dir(lengthwise)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        lengthwise.nonsense  # noqa: B018


def test_type_checkers_are_told_the_same_names() -> None:
    tree = ast.parse((ROOT / "src/lengthwise/__init__.pyi").read_text())
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    told = {(f"{node.module}", alias.asname) for node in imports for alias in node.names}
    homes = {(f"lengthwise.{home}", name) for name, home in lengthwise._HOMES.items()}
    assert told == homes


def test_importing_loads_no_library() -> None:
    code = "import sys, lengthwise; print(sorted({'torch', 'numpy', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_simulating_loads_no_engine() -> None:
    code = (
        "import sys, lengthwise as lw\n"
        "lw.simulate(lw.synthetic(20, 'constant:5', 'exp:9', 0), 'fcfs', rate='burst')\n"
        "print('transformers' in sys.modules, 'vllm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_the_examples_of_the_docs_run() -> None:
    try:
        found = doctest.testfile(str(ROOT / "docs/reference/api.md"), module_relative=False)
    finally:
        POLICIES.pop("short-prompt", None)
    assert found.attempted > 5
    assert not found.failed
