"""Service classes: who is in which, and what was missed."""

from __future__ import annotations

import math

import pytest

from lengthwise.core.service import Classes, Sender, ServiceClass, Target
from lengthwise.errors import UserError

CHAT = ServiceClass("chat", Target(ttft=0.5), tenants=("web", "app"))
BULK = ServiceClass("bulk", tiers=("flex",), priorities=(9, 10))
REST = ServiceClass("rest")
CLASSES = Classes((CHAT, BULK, REST), "rest")


@pytest.mark.parametrize(
    ("sender", "name"),
    [
        (Sender(), "rest"),
        (Sender("web"), "chat"),
        (Sender("nobody", 9), "bulk"),
        (Sender(tier="flex"), "bulk"),
        (Sender("app", 10, "flex"), "chat"),
        (Sender(service="chat"), "rest"),
        (Sender(service="no such"), "rest"),
    ],
)
def test_a_tenant_counts_before_a_tier_and_that_before_a_priority(
    sender: Sender, name: str
) -> None:
    assert CLASSES.of(sender).name == name


def test_clients_choose_only_where_they_may() -> None:
    free = Classes(CLASSES.all, "rest", clients_choose=True)
    assert free.of(Sender("web", service="bulk")).name == "bulk"
    assert free.of(Sender("web", service="none of them")).name == "chat"


@pytest.mark.parametrize(
    ("several", "default", "says"),
    [
        ((CHAT, CHAT), "chat", "same name"),
        ((CHAT,), "other", "is no class: chat"),
        ((CHAT, ServiceClass("x", tenants=("app",))), "x", "tenant 'app' is in two classes"),
        ((ServiceClass("x", tenants=("a", "a")),), "x", "tenant 'a' is twice in one class"),
        ((BULK, ServiceClass("x", tiers=("flex",))), "x", "tier 'flex' is in two"),
        ((BULK, ServiceClass("x", priorities=(9,))), "x", "priority 9 is in two"),
        ((ServiceClass("x", share=0.5), ServiceClass("y", share=0.5)), "x", "sum to 1 or more"),
    ],
)
def test_what_is_no_set_of_classes(
    several: tuple[ServiceClass, ...], default: str, says: str
) -> None:
    with pytest.raises(UserError, match=says):
        Classes(several, default)


def test_what_a_request_missed() -> None:
    target = Target(ttft=1.0, tpot=0.1, deadline=5.0)
    assert target.met(1.0, 1.9, 10)
    assert target.missed(1.1, 2.0, 10) == ["ttft"]
    assert target.missed(0.5, 2.5, 11) == ["tpot"]
    assert target.missed(2.0, 6.0, 2) == ["ttft", "tpot", "deadline"]
    # One token: there is none after the first.
    assert target.met(0.9, 0.9, 1)
    assert target.missed(math.nan, math.nan, 0) == ["ttft", "deadline"]
    assert Target().met(math.nan, math.nan, 0)
    assert not Target()
