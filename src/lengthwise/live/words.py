"""Decisions in words: one line for each, as the live page shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lengthwise.live.decision import Decision, Kind


def words(decision: Decision) -> str:
    """One line: ``r17 paused for r23: 310 → 22 tokens left, no recompute``."""
    return f"r{decision.number} {_SAID[decision.kind](decision)}"


def tokens(count: float) -> str:
    """``1 token``, ``1,240 tokens``."""
    return f"{count:,.0f} token" + ("" if round(count) == 1 else "s")


def seconds(value: float) -> str:
    """A time with its unit: ``0.42 s``, ``12 s``, ``3.5 min``."""
    if value >= 600.0:
        return f"{value / 60:,.0f} min"
    if value >= 120.0:
        return f"{value / 60:.1f} min"
    return f"{value:.0f} s" if value >= 9.95 else f"{value:.2g} s"


def _arrived(it: Decision) -> str:
    expected = "nothing predicted yet" if it.left is None else f"{tokens(it.left)} expected"
    return f"arrived: prompt of {tokens(it.prompt)}, {expected}"


def _admitted(it: Decision) -> str:
    said = f"admitted after {seconds(it.waited)}"
    if it.overtook:
        earlier = "1 earlier request" if it.overtook == 1 else f"{it.overtook:,} earlier requests"
        said += f" before {earlier}"
    return said if it.left is None else f"{said}, {tokens(it.left)} expected"


def _paused(it: Decision) -> str:
    return f"paused{_for(it)}: {_left(it)}{_recompute(it)}"


def _resumed(it: Decision) -> str:
    return "resumed" if it.left is None else f"resumed: {tokens(it.left)} left"


def _evicted(it: Decision) -> str:
    if it.reason == "reset":
        return f"evicted: the prefix cache was reset, {_recompute(it)}"
    return f"evicted{_for(it)}: {_left(it)}{_recompute(it)}"


def _promoted(it: Decision) -> str:
    return f"promoted: it starved, and goes first {seconds(it.waited)} after its arrival"


def _finished(it: Decision) -> str:
    said = f"finished after {seconds(it.waited)}: {tokens(it.tokens)}"
    if it.predicted is not None:
        said += f", {it.predicted:,.0f} predicted"
    if it.ttft is not None:
        said += f", the first after {seconds(it.ttft)}"
    ends = {"length": ", cut at its limit", "error": ", with an error", "abort": ", aborted"}
    return said + ends.get(it.reason, "")


def _aborted(it: Decision) -> str:
    why = "aborted by an error" if it.reason == "error" else "aborted"
    return f"{why} after {seconds(it.waited)}: {tokens(it.tokens)}"


_SAID: Mapping[Kind, Callable[[Decision], str]] = {
    "arrived": _arrived,
    "admitted": _admitted,
    "paused": _paused,
    "resumed": _resumed,
    "evicted": _evicted,
    "promoted": _promoted,
    "finished": _finished,
    "aborted": _aborted,
}


def _for(it: Decision) -> str:
    """For what, or for whom, the request lost its seat."""
    if it.winner is not None:
        return f" to make room for r{it.winner}" if it.reason == "memory" else f" for r{it.winner}"
    return " for memory" if it.reason == "memory" else ""


def _left(it: Decision) -> str:
    """What the request needs still and, after an arrow, what the one that goes first needs."""
    if it.winner_left is not None:
        own = "unknown" if it.left is None else f"{it.left:,.0f}"
        return f"{own} → {tokens(it.winner_left)} left, "
    return "" if it.left is None else f"{tokens(it.left)} left, "


def _recompute(it: Decision) -> str:
    return f"{tokens(it.recompute)} to recompute" if it.recompute else "no recompute"
