"""What the data itself says of waiting and of full seats, before anything is simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lengthwise.advise.verdict import share
from lengthwise.report.numbers import seconds
from lengthwise.traces.trace import Trace

if TYPE_CHECKING:
    from lengthwise.calibration.engine_log import EngineLog
    from lengthwise.calibration.server import Server


def of_requests(trace: Trace) -> tuple[str, ...]:
    """From the requests' own times, if the file has them."""
    if trace.observed is None:
        return ()
    arrival, seen = trace.workload.arrival, trace.observed
    said = []
    for what, times in (("first token", seen.first), ("last token", seen.finish)):
        took = (times - arrival)[np.isfinite(times)]
        if len(took):
            mean, tail = float(took.mean()), float(np.quantile(took, 0.99))
            said.append(f"{what} after {seconds(mean)} in the mean, p99 {seconds(tail)}")
    return (f"Observed: {'; '.join(said)}.",) if said else ()


def of_log(log: EngineLog) -> tuple[str, ...]:
    """From the line that vLLM writes every ten seconds."""
    windows = log.windows
    said = f"vLLM's log: requests waited in {share(windows.queued)} of {len(windows):,} windows"
    if log.seats is not None:
        said += f", all {log.seats} seats were taken in {share(windows.full(log.seats))}"
    return (f"{said}, the KV cache was at least 95 % full in {share(windows.kv_full)}.",)


def of_server(server: Server) -> tuple[str, ...]:
    """From the histograms since the server's start."""
    queued = server.queued
    if np.isnan(queued):
        return ()
    return (
        f"{server.name} says that {share(queued)} of its requests waited longer than its smallest "
        "bucket of queue times (0.3 s).",
    )
