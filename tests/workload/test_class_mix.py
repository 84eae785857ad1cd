"""Requests spread over service classes."""

from __future__ import annotations

import numpy as np
import pytest

from lengthwise.core.classes_file import read_classes
from lengthwise.core.service import Classes, Sender, ServiceClass
from lengthwise.errors import UserError
from lengthwise.workload import synthetic
from lengthwise.workload.class_mix import check_mix, parse_mix, prompts_with_mix, with_mix
from lengthwise.workload.prompts import Prompt

CLASSES = read_classes("builtin")
MIX = {"interactive": 0.5, "standard": 0.2, "batch": 0.3}


def test_each_request_is_in_a_class_by_its_share_and_the_same_again() -> None:
    workload = synthetic(4000, "constant:9", "constant:9", 0)
    found = with_mix(workload, CLASSES, MIX, 3)
    names = [CLASSES.of(Sender(tenant)).name for tenant in found.tenant]
    for name, share in MIX.items():
        assert names.count(name) / 4000 == pytest.approx(share, abs=0.03)
    assert [CLASSES.names[priority] for priority in found.priority] == names
    assert found.tenant == with_mix(workload, CLASSES, MIX, 3).tenant
    assert found.tenant != with_mix(workload, CLASSES, MIX, 4).tenant
    assert np.array_equal(found.arrival, workload.arrival)


def test_prompts_are_spread_as_requests_are() -> None:
    prompts = [Prompt(str(i), "hi") for i in range(50)]
    found = prompts_with_mix(prompts, CLASSES, MIX, 3)
    workload = with_mix(synthetic(50, "constant:9", "constant:9", 0), CLASSES, MIX, 3)
    assert tuple(each.tenant for each in found) == workload.tenant
    assert [each.priority for each in found] == workload.priority.tolist()


def test_a_class_with_priorities_gives_its_first() -> None:
    classes = Classes((ServiceClass("x", tenants=("t",), priorities=(7, 8)),), "x")
    found = with_mix(synthetic(5, "constant:9", "constant:9", 0), classes, {"x": 1.0}, 0)
    assert set(found.priority) == {7}


def test_a_mix_is_shares_of_one_whole() -> None:
    assert parse_mix("a=0.25,b=0.75") == {"a": 0.25, "b": 0.75}
    for text in ("a", "a=x", "=1", "a=0,b=1", "a=nan", "a=0.5,a=0.5", "a=2", ""):
        with pytest.raises(UserError, match="class-mix takes shares"):
            parse_mix(text)
    with pytest.raises(UserError, match=r"sum to 1, not 0\.9"):
        parse_mix("a=0.4,b=0.5")


def test_a_mix_names_classes_that_somebody_is_in() -> None:
    with pytest.raises(UserError, match="no class 'x': there are interactive"):
        check_mix(CLASSES, {"x": 1.0})
    lone = Classes((ServiceClass("x"), ServiceClass("y")), "x")
    check_mix(lone, {"x": 1.0})
    with pytest.raises(UserError, match="has no tenant: add tenants"):
        check_mix(lone, {"y": 1.0})
