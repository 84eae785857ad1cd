"""The plug-in changes the order of things and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

SCARCE = {"num_gpu_blocks_override": 9, "max_model_len": 240, "max_num_batched_tokens": 240}
"""8 usable blocks of 32 tokens: too few for four running requests."""


def test_fcfs_takes_stock_decisions_step_for_step(drive: Any, mixed: Any) -> None:
    stock = drive("stock", mixed, **SCARCE)
    ours = drive("fcfs", mixed, **SCARCE)
    assert stock["costs"]["evictions"] > 0, "memory must be scarce for this test to mean anything"
    assert ours["trace"] == stock["trace"]
    assert ours["answers"] == stock["answers"]


LATEST = ("trail-early", "sprpt", "sjf", "trail+bound:6:3")


@pytest.mark.parametrize(
    "policy", ["trail", *(pytest.param(each, marks=pytest.mark.latest) for each in LATEST)]
)
def test_answers_do_not_change(drive: Any, mixed: Any, stock_answers: Any, policy: str) -> None:
    ours = drive(policy, mixed)
    assert ours["answers"] == stock_answers
    if policy.startswith("trail") or policy == "sprpt":
        assert ours["costs"]["pauses"] > 0, "nothing was interrupted, so nothing was tested"
    if policy != "sjf":
        assert ours["predictions"]


@pytest.fixture(scope="module")
def stock_answers_cache() -> dict[str, Any]:
    return {}


@pytest.fixture
def stock_answers(drive: Any, mixed: Any, stock_answers_cache: dict[str, Any]) -> Any:
    if "answers" not in stock_answers_cache:
        stock_answers_cache["answers"] = drive("stock", mixed)["answers"]
    return stock_answers_cache["answers"]


def test_eviction_and_recompute_keep_the_answers(
    drive: Any, mixed: Any, stock_answers: Any
) -> None:
    ours = drive("trail", mixed, **SCARCE)
    assert ours["costs"]["evictions"] > 0
    assert ours["costs"]["recomputed_tokens"] > 0
    assert ours["answers"] == stock_answers


@pytest.mark.parametrize(
    "policy", [pytest.param("default", marks=pytest.mark.latest), "lengthwise"]
)
def test_foresight_keeps_the_answers_where_memory_is_scarce(
    drive: Any, mixed: Any, stock_answers: Any, policy: str
) -> None:
    ours = drive(policy, mixed, **SCARCE)
    assert ours["answers"] == stock_answers
    assert bool(ours["predictions"]) == (policy == "lengthwise")


@pytest.mark.latest
def test_recompute_mode_keeps_the_answers(drive: Any, mixed: Any, stock_answers: Any) -> None:
    ours = drive("sprpt", mixed, settings={"pause": False})
    assert ours["costs"]["pauses"] == 0
    assert ours["costs"]["evictions"] > 0
    assert ours["answers"] == stock_answers
