"""What it costs an engine to tell of its decisions: the decision log, vLLM's log, spans.

``python -m lengthwise.bench.telling``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Protocol

from lengthwise.live.decision import Decision, Kind
from lengthwise.live.log import DecisionLog
from lengthwise.results.terminal import Table
from lengthwise.vllm.spans import RequestSpans
from lengthwise.vllm.telling import VllmLog

KINDS: tuple[Kind, ...] = ("arrived", "admitted", "paused", "resumed", "finished")
"""What is decided about each request of this bench."""


class Listener(Protocol):
    """What is timed."""

    def add(self, decision: Decision) -> None:
        """A decision was made."""

    def close(self) -> None:
        """There are no more."""


class _Nowhere:
    """An exporter of spans whose collector is infinitely fast."""

    def export(self, spans: object) -> None:
        """Drop them."""

    def shutdown(self) -> None:
        """Nothing is open."""


def decisions(requests: int) -> list[Decision]:
    """Five decisions about each of so many requests."""
    return list(_decisions(requests))


def _decisions(requests: int) -> Iterator[Decision]:
    for number in range(requests):
        for kind in KINDS:
            name = f"cmpl-{number:032x}-0"
            yield Decision(1, 1.8e9 + number, kind, number, name, winner=1, left=310.0, waited=1.0)


def seconds(listener: Listener, told: list[Decision]) -> tuple[float, float]:
    """Seconds of the engine's thread, and processor seconds of all other threads, a decision."""
    before, others = time.perf_counter(), time.process_time() - time.thread_time()
    for each in told:
        listener.add(each)
    spent = time.perf_counter() - before
    listener.close()
    others = time.process_time() - time.thread_time() - others
    return spent / len(told), others / len(told)


def main() -> None:
    """Print a table: microseconds a decision, the median of some rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4000, help="of five decisions each")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    told = decisions(given.requests)
    table = Table(
        "microseconds a decision", ("told", "engine's thread", "other threads"), ("told",)
    )
    with TemporaryDirectory() as folder:
        for name, make in listeners(Path(folder)).items():
            timed = [seconds(make(), told) for _ in range(given.rounds)]
            own, others = (median(each) for each in zip(*timed, strict=True))
            table.add_row(name, f"{own * 1e6:.2f}", f"{others * 1e6:.2f}")
    table.print()


def listeners(folder: Path) -> dict[str, Callable[[], Listener]]:
    """What is compared."""

    def spans(share: float) -> Callable[[], Listener]:
        return lambda: RequestSpans("", share, lambda _: None, _Nowhere())

    return {
        "vLLM's log, off": VllmLog,
        "the decision log": lambda: DecisionLog(folder / "log", 64.0),
        "spans of 1 in 100 requests": spans(0.01),
        "spans of all requests": spans(1.0),
    }


if __name__ == "__main__":
    main()
