"""What the figures say, in sentences: whether switching helps, whom, and how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lengthwise.advise.advice import MEAN, P99, TTFT, TTFT_P99, Advice
from lengthwise.advise.plan import PRESENT, more
from lengthwise.core.arrays import Floats
from lengthwise.report.change import Change
from lengthwise.report.numbers import seconds
from lengthwise.report.served import Served
from lengthwise.sim.figures import overloaded

RARELY = 0.01
"""Share of the time below which requests that wait are too few for any order to matter."""

_NOTICED = 0.01
"""A change of a mean, as a share, below which nobody notices it, however sure it is."""

_WORSE = 0.02
"""A 99th percentile that is more than this above, beyond doubt, is a price to be told."""

_LATER = 0.10
_LATER_S = 0.1
"""A request loses if it ends by more than this share and this many seconds later."""

FLAG = "vllm serve YOUR-MODEL --scheduler-cls lengthwise.vllm.Scheduler"


@dataclass(frozen=True)
class Verdict:
    """The advice in words.

    Attributes:
        headline: one sentence.
        reasons: sentences, the most important first.
        switch: whether the flag is to be set.
        flag: what to start the server with.
    """

    headline: str
    reasons: tuple[str, ...]
    switch: bool
    flag: str = FLAG


def verdict(advice: Advice) -> Verdict:
    """What to do, and why."""
    now = _gains(advice, PRESENT)
    waited = advice.watched.waiting_share
    later = next((load for load in advice.plan.loads if _gains(advice, load)), None)
    name = advice.advised.policy
    if now:
        headline = f"Switch to {name}: {_said(advice, PRESENT)}."
        because = (*piled_up(advice), waits(advice), *_price(advice, PRESENT), *_unsure(advice))
        return Verdict(headline, because, True)
    if waited < RARELY:
        headline = (
            f"Nothing to gain at the present load: requests waited in {share(waited)} of the time, "
            "and where nobody waits no order of serving can matter."
        )
    else:
        headline = (
            "Nothing to gain at the present load: requests waited, but serving them in another "
            "order changes neither their mean latency nor their time to first token by 1 %."
        )
    reasons = [*piled_up(advice), waits(advice)]
    if later is None:
        most = max(advice.plan.loads)
        reasons.append(f"Nor is there with {more(most)} requests, the most that was simulated.")
    else:
        reasons.append(
            f"It begins to help with {more(later)} requests: {_said(advice, later)}. Setting the "
            "flag before that costs nothing: see the table."
        )
        reasons += _price(advice, later)
    return Verdict(headline, tuple(reasons), False)


def share(value: float) -> str:
    """A share of the whole, in per cent."""
    if 0 < value < 0.0005:
        return "less than 0.1 %"
    return f"{100 * value:.{1 if value < 0.1 else 0}f} %"


def _gains(advice: Advice, load: float) -> bool:
    """Whether mean latency or mean TTFT falls, noticeably and beyond doubt; none rises."""
    mean, ttft = (advice.change(advice.advised, load, each) for each in (MEAN, TTFT))
    falls = any(each.high < 0 and each.share < -_NOTICED for each in (mean, ttft))
    return falls and not any(each.low > 0 and each.share > _NOTICED for each in (mean, ttft))


def _said(advice: Advice, load: float) -> str:
    """The three figures; first the mean that changes more."""
    mean, ttft, p99 = (advice.change(advice.advised, load, each) for each in (MEAN, TTFT, P99))
    means = [(mean.share, f"mean latency {_from_to(mean)}")]
    means.append((ttft.share, f"mean time to first token {_from_to(ttft)}"))
    first, second = (text for _, text in sorted(means))
    return f"{first}, {second}, p99 latency {_from_to(p99)}"


def _from_to(change: Change) -> str:
    return f"{seconds(change.before)} → {seconds(change.after)} ({change})"


def piled_up(advice: Advice) -> Iterator[str]:
    """What no order mends."""
    run = advice.run(advice.stock, PRESENT)
    if overloaded(run.outcome, advice.plan.setup.seats):
        yield (
            "More requests come at the present load than this engine serves: they pile up, waits "
            "grow for as long as that lasts, and an order only decides who waits."
        )


def waits(advice: Advice) -> str:
    seen = advice.watched
    waited = f"Under {advice.stock} requests waited in {share(seen.waiting_share)} of the time"
    most = f"at most {share(seen.most_used)} of the KV memory was in use."
    if not seen.waiting_share:
        return f"{waited}; {most}"
    rest = max(seen.waiting_share - seen.seats_full_share - seen.memory_full_share, 0.0)
    return (
        f"{waited}: all {seen.seats} seats were taken in {share(seen.seats_full_share)}, memory "
        f"had no room for the next one in {share(seen.memory_full_share)}, and in {share(rest)} "
        f"they only waited for the prompts before theirs to be computed; {most}"
    )


def _price(advice: Advice, load: float) -> Iterator[str]:
    """Who loses."""
    for figure in (P99, TTFT_P99):
        tail = advice.change(advice.advised, load, figure)
        if tail.low > _WORSE:
            yield f"The price: {figure.name} rises, {_from_to(tail)}."
    old, new = (advice.served(advice.run(each, load)) for each in (advice.stock, advice.advised))
    late = new.latency - old.latency
    loses = (late > _LATER_S) & (late > _LATER * old.latency)
    wins = (-late > _LATER_S) & (-late > _LATER * old.latency)
    n = int(np.isfinite(late).sum())
    if n:
        yield (
            f"{share(wins.sum() / n)} of the requests end more than 10 % earlier, "
            f"{share(loses.sum() / n)} more than 10 % later{_losers(new, late, loses)}."
        )
    longest = [float(np.nanmax(each.ttft)) for each in (old, new)]
    before, after = map(seconds, longest)
    yield f"The longest wait for a first token goes from {before} to {after}."


def _unsure(advice: Advice) -> Iterator[str]:
    """What the headline would be at the ends of the calibration's interval."""
    speeds = sorted({each.speed for each in advice.unsure})
    if speeds:
        said = []
        for figure in (MEAN, TTFT):
            found = [advice.change_at(speed, figure) for speed in speeds]
            said.append(f"{figure.name} would change by {' or '.join(map(str, found))}")
        factors = " or ".join(f"{each:.3g}" for each in speeds)
        yield (
            f"The engine's speed is known within limits: if its steps took {factors} times as "
            f"long, {' and '.join(said)}."
        )


def _losers(new: Served, late: Floats, loses: NDArray[np.bool_]) -> str:
    """Which requests those are that end later."""
    if not loses.any():
        return ""
    prompt, output = (np.median(each[loses]) for each in (new.prompt, new.output))
    return (
        f" (by {seconds(float(np.median(late[loses])))} in the median; their medians are "
        f"{prompt:,.0f} prompt and {output:,.0f} output tokens, those of all "
        f"{np.median(new.prompt):,.0f} and {np.median(new.output):,.0f})"
    )
