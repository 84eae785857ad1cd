"""What an engine can serve: requests per second while requests wait, measured on a burst.

Three ways to leave out a burst's ends, when seats fill and when they empty. Each suits what
can be known, and loads are shares of it, so none replaces another without moving the rates
of results that exist.
"""

from __future__ import annotations

import numpy as np

from lengthwise.results.timings import Seconds, Times, per_second


def full_rate(times: Times) -> float:
    """Requests per second up to the last first token, counting the tokens made by then.

    For real engines and few requests: what is in the seats counts by the share that is done.
    Tokens count as evenly spread over a request's time in its seat. 0 if all began
    at once or none finished.
    """
    done = times.finished()
    if not len(done):
        return 0.0
    end = float(done.first.max())
    length = end - float(done.arrival.min())
    seated = np.maximum(done.finish - done.first, 1e-9)
    tokens = float((done.tokens * np.minimum((end - done.first) / seated, 1.0)).sum())
    mean = float(done.tokens.mean())
    return per_second(tokens / mean, length) if mean else 0.0


def ended_rate(times: Times) -> float:
    """Requests per second that ended up to the last first token; 0 if none did.

    For a workload that is served once from its start.
    """
    end = float(times.first.max())
    ended = int((times.finish <= end).sum())
    return per_second(ended, end)


def middle_rate(finish: Seconds) -> float:
    """Requests per second between a tenth and eight tenths of the ends [n]; 0 of none.

    For long bursts: memory that large prompts cannot use, evictions and prompts between
    decodes are all in it.
    """
    ends = np.sort(finish)
    if not len(ends):
        return 0.0
    first, last = len(ends) // 10, 8 * len(ends) // 10
    return per_second(last - first, float(ends[last] - ends[first]))
