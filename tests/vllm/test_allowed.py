"""VLLM_PLUGINS names what is loaded today, and lengthwise."""

from __future__ import annotations

import pytest

from lengthwise.vllm.allowed import ENDPOINTS, Allowed, allowed, discovered

GENERAL = "vllm.general_plugins"
FOUND = {
    GENERAL: frozenset({"lengthwise", "lora"}),
    "vllm.platform_plugins": frozenset({"npu"}),
    ENDPOINTS: frozenset({"lengthwise", "other"}),
}


def test_all_that_is_loaded_today_is_named_but_nobody_elses_routes() -> None:
    assert allowed(None, True, FOUND) == Allowed("lengthwise,lora,npu")


def test_routes_of_another_that_cannot_be_left_out_are_told_of() -> None:
    found = FOUND | {ENDPOINTS: frozenset({"lengthwise", "lora", "npu"})}
    made = allowed(None, True, found)
    assert made.value == "lengthwise,lora,npu"
    assert made.line is not None
    assert "lora, npu" in made.line


@pytest.mark.parametrize(
    ("page", "found"), [(False, FOUND), (True, {}), (True, {GENERAL: FOUND[GENERAL]})]
)
def test_without_routes_of_ours_it_stays_unset(
    page: bool, found: dict[str, frozenset[str]]
) -> None:
    assert allowed(None, page, found) == Allowed(None)


@pytest.mark.parametrize("page", [True, False])
@pytest.mark.parametrize(("given", "value"), [("", "lengthwise"), ("lora", "lora,lengthwise")])
def test_where_it_is_set_lengthwise_is_added_and_a_line_says_so(
    given: str, value: str, page: bool
) -> None:
    made = allowed(given, page, FOUND)
    assert made.value == value
    assert made.line is not None


def test_where_it_names_lengthwise_nothing_changes() -> None:
    assert allowed("a,lengthwise", True, FOUND) == Allowed("a,lengthwise")
    assert allowed("a,lengthwise", False, FOUND) == Allowed("a,lengthwise")


def test_installed_plug_ins_are_found() -> None:
    assert "lengthwise" in discovered()[GENERAL]
