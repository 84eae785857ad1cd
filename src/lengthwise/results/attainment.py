"""Which requests got what their service class is promised, and the figures of that.

A request *attains* if it finished and met every target of its class. One that never finished
did not, whatever its class; one of a class without targets attains as soon as it finished.
*Goodput* counts the requests that attained, and their tokens, for each second of the run; that
of a whole run is of the classes that are promised anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from lengthwise.core.arrays import Floats, Ints
from lengthwise.core.service import Classes, Target
from lengthwise.results.fairness import evenness
from lengthwise.results.record import ClassFigures, Promised
from lengthwise.results.timings import Times, makespan, per_second

Flags = NDArray[np.bool_]

TARGETS = ("ttft", "tpot", "deadline")
"""The fields of a :class:`Target`, in the order in which tables have them."""


@dataclass(frozen=True, eq=False)
class Judged:
    """n requests against what their classes are promised; all [n].

    Attributes:
        place: the number of each request's class among ``classes.all``.
        done: whether it finished.
        met: whether it got all that its class is promised.
        late: by the names in :data:`TARGETS`, whether it finished and missed that target.
    """

    place: Ints
    done: Flags
    met: Flags
    late: dict[str, Flags]


def judge(
    ttft: Floats, latency: Floats, tokens: Ints, service: Sequence[str], classes: Classes
) -> Judged:
    """Hold requests against what their classes are promised.

    Args:
        ttft, latency: [n] seconds from arrival to the first and the last token, NaN for times
            that never came.
        tokens: [n] of the answers.
        service: n names of classes; one that ``classes`` does not have stands for the default.
    """
    place = _places(service, classes)
    done = np.isfinite(ttft) & np.isfinite(latency)
    # Huge times and targets may pass what a float holds: infinite, they compare as they should.
    with np.errstate(over="ignore", invalid="ignore"):
        late = {
            "ttft": done & (ttft > _limits(classes, "ttft")[place]),
            "tpot": done
            & (tokens > 1)
            & (latency - ttft > _limits(classes, "tpot")[place] * (tokens - 1)),
            "deadline": done & (latency > _limits(classes, "deadline")[place]),
        }
    missed = late["ttft"] | late["tpot"] | late["deadline"]
    return Judged(place, done, done & ~missed, late)


def promised(times: Times, service: Sequence[str], classes: Classes) -> Promised:
    """The figures of a run's requests by class, and their goodput.

    Args:
        times: of the run's n requests.
        service: n names of classes.
    """
    latency, ttft = times.finish - times.arrival, times.first - times.arrival
    found = judge(ttft, latency, times.tokens, service, classes)
    seconds = makespan(times)
    named = [classes.all[place].name for place in found.place]
    own = {
        each.name: _figures(each.target, found, number, times, seconds)
        for number, each in enumerate(classes.all)
    }
    index = evenness(latency, times.tokens, named)
    owed = np.array([bool(each.target) for each in classes.all])[found.place]
    met = found.met & owed
    return Promised(
        classes=own,
        attained_share=_share(int(met.sum()), int(owed.sum())),
        goodput_requests_per_s=per_second(int(met.sum()), seconds),
        goodput_tokens_per_s=per_second(int(times.tokens[met].sum()), seconds),
        jain_classes=UNSET if index is None else index,
    )


def _figures(
    target: Target, found: Judged, number: int, times: Times, seconds: float
) -> ClassFigures:
    own = found.place == number
    done, met = own & found.done, own & found.met
    late: dict[str, Any] = {
        f"late_{name}": int((own & found.late[name]).sum())
        for name in TARGETS
        if getattr(target, name) is not None
    }
    figures: dict[str, Any] = {}
    if done.any():
        latency, ttft = times.finish - times.arrival, times.first - times.arrival
        for name, values in (("latency", latency[done]), ("ttft", ttft[done])):
            # Halved, and doubled again: the sum of two huge times would be infinite.
            figures[f"mean_{name}_s"] = float((values / len(values)).sum())
            figures[f"p99_{name}_s"] = float(np.quantile(values, 0.99))
    return ClassFigures(
        requests=int(own.sum()),
        finished=int(done.sum()),
        met=int(met.sum()),
        attained_share=_share(int(met.sum()), int(own.sum())),
        goodput_requests_per_s=per_second(int(met.sum()), seconds),
        goodput_tokens_per_s=per_second(int(times.tokens[met].sum()), seconds),
        **late,
        **figures,
    )


def _share(part: int, whole: int) -> float | None:
    """None of nothing: a class without requests neither attains nor fails."""
    return part / whole if whole else None


def _places(service: Sequence[str], classes: Classes) -> Ints:
    number = {each.name: place for place, each in enumerate(classes.all)}
    otherwise = number[classes.default]
    return np.array([number.get(name, otherwise) for name in service], np.int64)


def _limits(classes: Classes, name: str) -> Floats:
    """[classes] seconds of a target, infinite where it is not promised."""
    limits = [getattr(each.target, name) for each in classes.all]
    return np.array([math.inf if limit is None else limit for limit in limits], np.float64)
