"""States sampled in the real engine to learn from: at which ages, and that they are right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lengthwise.predictors.layers import LAST, tapped_layers
from lengthwise.vllm.ages import GROWTH
from lengthwise.vllm.sampled import PACE


@pytest.fixture(scope="module")
def found(
    model: Path, prompts: list[list[int]], forks: Any, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    folder = tmp_path_factory.mktemp("sampled")
    (folder / "prompts.json").write_text(json.dumps(prompts[:9]))
    done = forks("sampled.py", model, folder / "prompts.json", folder / "out.json")
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / "out.json").read_text())


def test_answers_are_stocks(found: Any) -> None:
    assert len(found["expected"]) == 9
    assert found["answers"] == found["expected"]


def test_each_request_arrives_with_the_ages_of_its_answer(found: Any) -> None:
    for number, answer in found["answers"].items():
        ages = found["requests"][number]["ages"]
        assert ages[0] == 0
        assert ages == sorted(set(ages))
        assert ages[-1] < len(answer) <= GROWTH * ages[-1] + 2 + PACE


def test_a_few_layers_are_kept_and_the_last_ones_output(found: Any) -> None:
    expected = list(tapped_layers(30, offers=True))
    for each in found["requests"].values():
        assert [layer for layer in each["layers"] if layer in expected] == expected
        assert each["layers"][-1] == LAST


def test_they_are_what_the_recorder_sees_at_the_same_positions(found: Any) -> None:
    assert all(each["same"] for each in found["requests"].values())


def test_the_last_layers_output_is_what_the_models_head_reads(found: Any) -> None:
    """Each answer's token is the head's best of it, but for a float16 rounding."""
    assert max(each["lost"] for each in found["requests"].values()) < 0.05


def test_a_probe_that_begins_while_it_serves_predicts_whose_prompts_it_saw(found: Any) -> None:
    changed = found["changed"]
    assert changed["answers"] == found["expected"]
    assert changed["begun"], "some had tokens when it began"
    heard = changed["heard"]
    assert heard
    assert {version for _, _, version in heard} == {7}
    assert not {name for name, _, _ in heard} & set(changed["begun"])
    assert min(age for _, age, _ in heard) == 0
