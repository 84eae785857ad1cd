"""Policies that users add: registered, by entry point, or as MODULE:CLASS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lengthwise.core.policy import Policy
from lengthwise.core.request import Request
from lengthwise.errors import UserError
from lengthwise.policies import make_policy, register_policy
from lengthwise.policies.registry import POLICIES
from lengthwise.policies.sjf import SJF

MODULE = '''
from lengthwise import Policy

class Latest(Policy):
    """Last come, first served; the argument is in tokens."""

    name, source, preemptive = "latest", "none", False

    def __init__(self, ahead: float = 1.0):
        self.ahead = ahead

    def rank(self, request):
        return -self.ahead * request.arrival

class Half(Policy):
    name, source, preemptive = "half", "none", False

NUMBER = 5
'''


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    known = dict(POLICIES)
    yield
    POLICIES.clear()
    POLICIES.update(known)
    sys.modules.pop("own_policies", None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A module with policies, and the metadata of an installed package that names one."""
    (tmp_path / "own_policies.py").write_text(MODULE)
    info = tmp_path / "own_policies-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-policies\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[lengthwise.policies]\nnewest = own_policies:Latest\ngone = own_policies:Gone\n"
    )
    return tmp_path


class Own(Policy):
    """In order of arrival."""

    name, source, preemptive = "own", "none", False

    def rank(self, request: Request) -> float:
        return request.arrival


def test_a_registered_policy_is_known_by_its_name() -> None:
    assert register_policy(Own) is Own
    assert isinstance(make_policy("own"), Own)
    assert make_policy("own+bound:9").name == "own+bound"


def test_a_class_that_is_defined_again_replaces_itself() -> None:
    register_policy(Own)
    again = type("Again", (Own,), {})
    register_policy(again)
    assert type(make_policy("own")) is again


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({"name": "fcfs"}, "the name 'fcfs' is taken"),
        ({"name": "a:b"}, "needs a name"),
        ({"name": None}, "needs a name"),
        ({"source": "stars"}, "needs a source"),
        ({"preemptive": None}, "must say whether it is preemptive"),
    ],
)
def test_what_is_no_policy_is_refused(attributes: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        register_policy(type("Bad", (Own,), attributes))
    with pytest.raises(UserError, match="is no policy"):
        register_policy(int)  # type: ignore[type-var]
    with pytest.raises(UserError, match="taken"):
        register_policy(type("Inherits", (SJF,), {}))


def test_a_class_is_found_by_its_module(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    policy = make_policy("own_policies:Latest:0.5+fair")
    request = Request("a", 4.0, 0, 10)
    assert policy.rank(request) == -2.0
    assert make_policy("own_policies:Latest").rank(request) == -4.0


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("own_policies:Nobody", "own_policies:Nobody cannot be loaded"),
        ("own_policies:NUMBER", "is no policy"),
        ("own_policies:Half", "must define rank"),
        ("own_policies:Latest:x", "could not convert"),
        ("own_policies:Latest:1:2", "takes AHEAD at most"),
        ("nowhere.at_all:Thing", "unknown policy 'nowhere.at_all'"),
        ("nothing:0.5", "unknown policy 'nothing'"),
        ("nothing", "or give your own as MODULE:CLASS"),
        ("gone", r"own_policies:Gone\) cannot be loaded"),
    ],
)
def test_what_cannot_be_found_is_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, spec: str, said: str
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(UserError, match=said) as caught:
        make_policy(spec)
    assert "\n" not in str(caught.value)


def simulate(folder: Path, policies: str, **environment: str) -> list[dict[str, object]]:
    """The command with two worker processes, in that folder."""
    command = [
        *(sys.executable, "-m", "lengthwise.cli", "simulate", "--synthetic", "constant:9,exp:20"),
        *("--requests", "40", "--seats", "2", "--rates", "burst", "--workers", "2"),
        *("--policies", policies, "--out", str(folder / "out")),
    ]
    subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=True)
    runs: list[dict[str, object]] = json.loads((folder / "out/results.json").read_text())["runs"]
    return runs


def test_worker_processes_find_a_class_in_the_working_directory(folder: Path) -> None:
    fcfs, latest = simulate(folder, "fcfs,own_policies:Latest")
    assert (fcfs["policy"], latest["policy"]) == ("fcfs", "own_policies:Latest")
    assert fcfs["finished"] == latest["finished"] == 40


def test_worker_processes_find_an_entry_point(folder: Path) -> None:
    path = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    _, newest = simulate(folder, "fcfs,newest:2", PYTHONPATH=path)
    assert (newest["policy"], newest["finished"]) == ("newest:2", 40)
