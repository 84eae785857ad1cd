"""The ledger against counting everything anew."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lengthwise.core.request import Request
from lengthwise.live.decision import Decision
from lengthwise.live.journal import Journal
from lengthwise.live.ledger import Ledger, label_of


class LedgerMachine(RuleBasedStateMachine):
    """Requests come, are predicted, sit down, lose their seats and go, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.journal = Journal()
        self.heard: list[Decision] = []
        self.journal.listeners.append(self.heard.append)
        self.ledger = Ledger(self.journal, lambda: self.now, lambda: 1e9 + self.now)
        self.views: list[Request] = []
        self.waiting: list[Request] = []
        self.never: list[Request] = []
        self.overtaken: dict[str, int] = {}
        self.made = 0

    def pick(self, data: st.DataObject, of: list[Request]) -> Request:
        return of[data.draw(st.integers(0, len(of) - 1))]

    @rule(seconds=st.floats(0, 10))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def arrive(self) -> None:
        view = Request(f"id-{self.made}", self.now, self.made, 5)
        self.made += 1
        self.ledger.arrives(view)
        self.overtaken[view.id] = 0
        for each in (self.views, self.waiting, self.never):
            each.append(view)

    @rule(data=st.data(), tokens=st.sampled_from([None, 1.0, 32.0, 33.0, 1e9]))
    @precondition(lambda self: self.views)
    def predict(self, data: st.DataObject, tokens: float | None) -> None:
        view = self.pick(data, self.views)
        view.predict(tokens)
        self.ledger.predicted(view)

    @rule(data=st.data())
    @precondition(lambda self: self.waiting)
    def sit(self, data: st.DataObject) -> None:
        view = self.pick(data, self.waiting)
        self.ledger.seated(view)
        self.waiting.remove(view)
        if view in self.never:
            before = self.never[: self.never.index(view)]
            self.never.remove(view)
            for each in before:
                self.overtaken[each.id] += 1
            assert self.heard[-1].kind == "admitted"
            assert self.heard[-1].overtook == len(before)
        else:
            assert self.heard[-1].kind == "resumed"

    @rule(data=st.data())
    @precondition(lambda self: len(self.views) > len(self.waiting))
    def evict(self, data: st.DataObject) -> None:
        view = self.pick(data, [each for each in self.views if each not in self.waiting])
        self.ledger.evicted(view, "memory", None, 7)
        self.waiting.append(view)

    @rule(data=st.data(), ended=st.booleans())
    @precondition(lambda self: self.views)
    def go(self, data: st.DataObject, ended: bool) -> None:
        view = self.pick(data, self.views)
        self.ledger.gone(view, "stop" if ended else "abort")
        for each in (self.views, self.waiting, self.never):
            if view in each:
                each.remove(view)

    @invariant()
    def it_counts_what_is_there(self) -> None:
        ledger, totals = self.ledger, self.ledger.totals
        assert list(ledger.entries) == [view.id for view in self.views]
        assert ledger.waiting == len(self.waiting) == sum(ledger.waiting_by)
        for label, count in enumerate(ledger.waiting_by):
            known = [view.remaining if view.predicted else None for view in self.waiting]
            assert count == sum(label_of(each) == label for each in known)
        for view in self.views:
            assert ledger.overtaken(ledger.entries[view.id]) == self.overtaken[view.id]
        first = self.never[0] if self.never else None
        assert ledger.longest_wait == (self.now - first.arrival if first else 0.0)
        assert totals.arrived == len(self.views) + totals.finished + totals.aborted
        assert [each.index for each in self.heard] == list(range(1, len(self.heard) + 1))
        assert not first or len(ledger._passed) <= totals.admitted


LedgerMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
TestLedger = LedgerMachine.TestCase


def test_classes_of_expected_tokens_end_at_their_edges() -> None:
    found = [label_of(tokens) for tokens in (1, 32, 32.5, 128, 2048, 2049, None)]
    assert found == [0, 0, 1, 1, 3, 4, 5]


def test_the_journal_keeps_the_last_and_gives_those_after_an_index() -> None:
    journal = Journal(most=3)
    for index in range(1, 6):
        journal.add(Decision(index, 0.0, "arrived", index, "id"))
    assert [each.index for each in journal.last(10)] == [3, 4, 5]
    assert [each.index for each in journal.last(2)] == [4, 5]
    assert [each.index for each in journal.last(10, after=4)] == [5]
    assert journal.last(0) == []
