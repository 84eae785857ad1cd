"""Which classes got what they are promised, against counting anew."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from lengthwise.core.service import Classes, ServiceClass, Target
from lengthwise.live.attainment import Attainment
from lengthwise.live.decision import Decision, Kind

CLASSES = Classes(
    (
        ServiceClass("chat", Target(ttft=1.0, tpot=0.1)),
        ServiceClass("mail", Target(deadline=9.0)),
        ServiceClass("bulk"),
    ),
    "bulk",
)


def decision(kind: Kind, service: str = "chat", number: int = 1, **more: object) -> Decision:
    return Decision(1, 0.0, kind, number, f"id-{number}", service=service, **more)  # type: ignore[arg-type]


def test_what_was_missed_is_counted_by_target() -> None:
    heard = Attainment(CLASSES)
    for ttft, waited in ((0.5, 1.4), (1.5, 2.0), (1.5, 4.0), (None, 2.0)):
        heard(decision("arrived"))
        heard(decision("admitted"))
        heard(decision("finished", ttft=ttft, waited=waited, tokens=11))
    chat, mail, bulk = heard.now()
    assert (chat.finished, chat.attained) == (4, 1)
    assert chat.missed == {"ttft": 3, "tpot": 1}
    assert (mail.finished, bulk.finished) == (0, 0)


def test_classes_that_it_does_not_know_and_aborted_requests_do_not_count() -> None:
    heard = Attainment(CLASSES)
    heard(decision("arrived", ""))
    heard(decision("finished", "", waited=99.0))
    heard(decision("arrived"))
    heard(decision("aborted"))
    assert all(each.finished == each.waiting == each.running == 0 for each in heard.now())


MOVES: tuple[Kind, ...] = ("admitted", "paused", "resumed", "evicted", "promoted")


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from((*MOVES, "finished", "aborted", "stray"))),
        max_size=60,
    )
)
def test_who_runs_and_who_waits(moves: list[tuple[int, str]]) -> None:
    heard, here = Attainment(CLASSES), dict[int, bool]()
    for number, kind in moves:
        service = CLASSES.all[number % 3].name
        if number not in here:
            heard(decision("arrived", service, number))
            here[number] = False
        if kind == "stray":
            heard.forget(f"id-{number}")
            del here[number]
            continue
        heard(decision(kind, service, number))  # type: ignore[arg-type]
        if kind in ("finished", "aborted"):
            del here[number]
        elif kind != "promoted":
            here[number] = kind in ("admitted", "resumed")
    for place, found in enumerate(heard.now()):
        counts = Counter(runs for number, runs in here.items() if number % 3 == place)
        assert (found.waiting, found.running) == (counts[False], counts[True])
