"""Which service classes got what they are promised, counted from an engine's decisions."""

from __future__ import annotations

from dataclasses import dataclass, field

from lengthwise.core.service import Classes, ServiceClass
from lengthwise.live.decision import Decision
from lengthwise.live.state import ClassNow


@dataclass(slots=True)
class _Count:
    """What is counted of a class."""

    service: ServiceClass
    waiting: int = 0
    running: int = 0
    finished: int = 0
    attained: int = 0
    missed: dict[str, int] = field(default_factory=dict)

    def move(self, was: bool | None, runs: bool | None) -> None:
        """A request of it changed its state; None is neither running nor waiting."""
        self.running += (runs is True) - (was is True)
        self.waiting += (runs is False) - (was is False)

    def ended(self, decision: Decision) -> None:
        """A request of it has its whole answer."""
        self.finished += 1
        # Without a first token it ended as it began.
        ttft = decision.waited if decision.ttft is None else decision.ttft
        missed = self.service.target.missed(ttft, decision.waited, decision.tokens)
        self.attained += not missed
        for what in missed:
            self.missed[what] = self.missed.get(what, 0) + 1


_RUNS = {"arrived": False, "admitted": True, "paused": False, "resumed": True, "evicted": False}


class Attainment:
    """A listener of a journal; O(1) for each decision.

    Requests of classes that it does not know are not counted.
    """

    def __init__(self, classes: Classes) -> None:
        self._counts = {each.name: _Count(each) for each in classes.all}
        self._runs: dict[str, tuple[_Count, bool]] = {}

    def __call__(self, decision: Decision) -> None:
        """An engine decided something."""
        count = self._counts.get(decision.service)
        if count is None:
            return
        if decision.kind in ("finished", "aborted"):
            self.forget(decision.request)
            if decision.kind == "finished":
                count.ended(decision)
            return
        runs = _RUNS.get(decision.kind)
        if runs is None:
            return
        _, was = self._runs.get(decision.request, (count, None))
        count.move(was, runs)
        self._runs[decision.request] = count, runs

    def forget(self, request_id: str) -> None:
        """A request is gone without an answer to count."""
        found = self._runs.pop(request_id, None)
        if found is not None:
            found[0].move(found[1], None)

    def now(self) -> list[ClassNow]:
        """The classes in their order."""
        return [
            ClassNow(
                each.service.name,
                each.waiting,
                each.running,
                each.finished,
                each.attained,
                dict(each.missed),
            )
            for each in self._counts.values()
        ]
