"""``edf``: the earliest target first."""

from __future__ import annotations

from lengthwise.core.request import Request
from lengthwise.core.service import Classes, ServiceClass, Target
from lengthwise.policies import make_policy

CLASSES = Classes(
    (
        ServiceClass("chat", Target(ttft=2.0)),
        ServiceClass("mail", Target(ttft=30.0, deadline=8.0)),
        ServiceClass("bulk"),
    ),
    "bulk",
)


def order(*requests: Request) -> list[int]:
    policy = make_policy("edf", CLASSES)
    return [it.seq for it in sorted(requests, key=policy.key)]


def test_whatever_is_due_first_goes_first_and_the_rest_by_arrival() -> None:
    mail, late = Request("0", 0.0, 0, 9, service="mail"), Request("1", 7.0, 1, 9, service="chat")
    chat = Request("2", 5.0, 2, 9, service="chat")
    bulk = [Request(str(i), float(i), i, 9, service="bulk") for i in (4, 3)]
    assert order(*bulk, late, mail, chat) == [2, 0, 1, 3, 4]


def test_without_classes_it_is_in_order_of_arrival() -> None:
    policy = make_policy("edf")
    many = [Request(str(i), float(i), i, 9) for i in (2, 0, 1)]
    assert [it.seq for it in sorted(many, key=policy.key)] == [0, 1, 2]
    assert not policy.may_preempt(many[0])
