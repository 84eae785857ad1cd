"""Runs of two results that are compared, and the changes from one to the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lengthwise.report.change import Change, Figure, change, matched
from lengthwise.report.results import Study
from lengthwise.report.served import Served
from lengthwise.results.record import Run
from lengthwise.results.runs import interval, mean


@dataclass(frozen=True, eq=False)
class Pair:
    """Runs of one name at one traffic in both results, a run for each repetition.

    Attributes:
        left, right: the runs of the first and of the second result.
        before, after: the requests of the first repetition, where files have them.
        by: the field that repetitions differ in.
    """

    name: str
    traffic: str
    left: Sequence[Run]
    right: Sequence[Run]
    before: Served | None
    after: Served | None
    by: str = "seed"

    @property
    def repeated(self) -> int:
        """Repetitions that are in both results."""
        left, right = ({run.get(self.by) for run in runs} for runs in (self.left, self.right))
        return len(left & right)

    @property
    def same_requests(self) -> bool | None:
        """Whether both served the same requests at the same times; None if no file tells."""
        if self.before is None or self.after is None:
            return None
        return matched(self.before, self.after) is not None

    @property
    def how(self) -> str:
        """What the intervals are over, in words."""
        if self.repeated > 1:
            return f"{self.repeated} repetitions, paired"
        if self.same_requests is None:
            return "none"
        return "requests, paired" if self.same_requests else "requests, unpaired"

    def change(self, figure: Figure) -> Change | None:
        """A figure's change: over the repetitions in both, or over resampled requests.

        None if the figure is not kept of repetitions.
        """
        if self.repeated > 1 or self.before is None or self.after is None:
            return None if figure.field is None else self._by_runs(figure.field)
        return change(self.before, self.after, figure)

    def _by_runs(self, field: str) -> Change:
        old, new = mean(self.left, field), mean(self.right, field)
        if self.repeated < 2:
            return Change(old, new)
        ours, theirs = (
            {run.get(self.by): run.get(field, math.nan) for run in runs}
            for runs in (self.right, self.left)
        )
        ratios = [ours[key] / theirs[key] for key in ours if theirs.get(key, 0.0)]
        # Ratios multiply: in logarithms, no interval reaches below -100 %.
        logs = [math.log(ratio) for ratio in ratios if 0.0 < ratio < math.inf]
        if not logs:
            return Change(old, new)
        middle, half = interval(logs)
        low, high, between = map(_share, (middle - half, middle + half, middle))
        return Change(old, new, low, high, between)


def _share(log: float) -> float:
    """A change from its logarithm; infinite where no float holds it."""
    try:
        return math.expm1(log)
    except OverflowError:
        return math.inf


def pairs_of(left: Study, right: Study) -> list[Pair]:
    """Runs of the same name and traffic in both; if each has one kind of run, these two."""
    ours, theirs = _kinds(left), _kinds(right)
    found = [(key, key) for key in ours if key in theirs]
    if not found and len(ours) == len(theirs) == 1:
        found = [(next(iter(ours)), next(iter(theirs)))]
    return [
        Pair(
            _either(one[0], two[0]),
            _either(one[1], two[1]),
            [left.runs[i] for i in ours[one]],
            [right.runs[i] for i in theirs[two]],
            _served(left, ours[one]),
            _served(right, theirs[two]),
            left.by,
        )
        for one, two in found
    ]


def study_pair(study: Study, base: Sequence[Run], group: Sequence[Run]) -> Pair:
    """Two kinds of run of one study at one traffic: the changes from the first to the second."""
    before, after = (
        _served(study, [i for i, run in enumerate(study.runs) if any(run is it for it in runs)])
        for runs in (base, group)
    )
    name, traffic = study.name_of(group[0]), study.traffic_of(group[0])
    return Pair(name, traffic, base, group, before, after, study.by)


def _either(one: str, two: str) -> str:
    return one if one == two else f"{one} → {two}"


def _kinds(study: Study) -> dict[tuple[str, str], list[int]]:
    """Numbers of the runs by name and traffic."""
    found: dict[tuple[str, str], list[int]] = {}
    for number, run in enumerate(study.runs):
        found.setdefault((study.name_of(run), study.traffic_of(run)), []).append(number)
    return found


def _served(study: Study, numbers: Sequence[int]) -> Served | None:
    return next((study.served[i] for i in numbers if study.served[i] is not None), None)


def clear(found: Change) -> str:
    """Whether a change is lower, higher, or neither with 95 % confidence, in words."""
    if math.isnan(found.low):
        return "no interval can be given"
    if found.sure:
        return "lower" if found.share < 0.0 else "higher"
    return "not clearly different"
