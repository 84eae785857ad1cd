"""Service classes in words."""

from __future__ import annotations

import pytest

from lengthwise.cli.main import main
from lengthwise.core.classes_file import BUILTIN_TOML, classes_of, read_classes
from lengthwise.results.service import warnings


def test_the_builtin_classes_are_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-config", "builtin"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for words in ("interactive", "first token", "all others", "10 %", "give way first"):
        assert words in said
    assert "note:" not in said


def test_the_example_is_a_file_that_is_read(
    capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    assert main(["check-config", "--example"]) == 0
    assert capsys.readouterr().out == BUILTIN_TOML


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"x": {}}, "no class is promised anything"),
        ({"x": {"ttft": 9, "deadline": 5}}, "may come after its deadline"),
        ({"x": {"tpot": "1ms"}}, "a tpot of 1 ms is less than a step"),
        ({"x": {"ttft": 1}, "y": {}}, "class y: no request can be in it"),
    ],
)
def test_what_can_never_hold_is_noted(table: dict[str, object], says: str) -> None:
    assert any(says in line for line in warnings(classes_of({"default": "x", "class": table})))


def test_who_trusts_all_clients_is_told() -> None:
    classes = classes_of(
        {"clients_choose": True, "class": {"x": {"ttft": 1}, "y": {}}, "default": "x"}
    )
    assert ["any client may ask" in line for line in warnings(classes)] == [True]
    assert warnings(read_classes("builtin")) == []
