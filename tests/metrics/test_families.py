"""Names, labels and values of the Prometheus families, and the page of the docs that lists them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args, get_type_hints

from lengthwise.core.service import Target
from lengthwise.live.decision import Reason
from lengthwise.live.state import LearnerNow
from lengthwise.metrics.families import FAMILIES
from lengthwise.metrics.family import LABELS
from lengthwise.metrics.of_engine import STATES
from lengthwise.metrics.of_requests import EVICTED_FOR, EXPECTED, PROMISES

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"

BY_NAME = {family.name: family for family in FAMILIES}


def test_names_and_labels_follow_prometheus_conventions() -> None:
    assert len(BY_NAME) == len(FAMILIES)
    for family in FAMILIES:
        assert re.fullmatch(r"lengthwise_[a-z_]+", family.name), family.name
        assert family.name.endswith("_total") == (family.kind == "counter"), family.name
        assert family.help.endswith("."), family.name
        assert not set(family.labels) & set(LABELS), family.name


def test_labels_are_those_that_the_engine_uses() -> None:
    assert set(EVICTED_FOR) <= set(get_args(Reason))
    assert get_args(get_type_hints(LearnerNow)["state"]) == STATES
    assert set(PROMISES) == set(Target.__annotations__)
    assert EXPECTED == ("1-32", "33-128", "129-512", "513-2048", "2049+", "unknown")


def test_values_are_those_of_the_state(state: Any) -> None:
    read = {name: dict(family.read(state())) for name, family in BY_NAME.items()}
    for family in FAMILIES:
        assert read[family.name], family.name
        assert {len(labels) for labels in read[family.name]} == {len(family.labels)}, family.name
    assert read["lengthwise_requests_waiting"] == dict(
        zip([(name,) for name in EXPECTED], [1, 0, 2, 0, 1, 1], strict=True)
    )
    assert read["lengthwise_evictions_total"] == {("memory",): 2, ("seat",): 0, ("reset",): 0}
    assert read["lengthwise_learner_state"] == {
        **{("off",): 0, ("gathering",): 0, ("acting",): 1, ("stopped",): 0}
    }
    assert read["lengthwise_class_targets_missed_total"]["interactive", "ttft"] == 2
    assert read["lengthwise_class_targets_missed_total"]["batch", "deadline"] == 0
    assert read["lengthwise_predictor_error_tokens"] == {("prompt",): 31.5, ("client",): None}
    assert read["lengthwise_bound_admitted_tokens_total"] == {(): 5000.0}


def test_what_an_engine_does_not_have_is_not_shown(state: Any) -> None:
    bare = state(bound=None, predictors=[], classes=[])
    gone = {family.name for family in FAMILIES if not family.read(bare)}
    assert gone
    assert all(re.match("lengthwise_(bound|predictor|class)_", name) for name in gone)


def test_the_reference_lists_exactly_these() -> None:
    row = r"^\| `(lengthwise_\w+)` \| (\w+) \| (.*?) \| (.*) \|$"
    rows = re.findall(row, REFERENCE.read_text(), re.M)
    expected = [
        (one.name, one.kind, ", ".join(f"`{label}`" for label in one.labels), one.help)
        for one in FAMILIES
    ]
    assert [tuple(each.strip() for each in row) for row in rows] == expected
