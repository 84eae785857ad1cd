"""Requests of every odd kind, drawn by hypothesis."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from lengthwise.report.served import Served
from lengthwise.results.files import LONGEST

NAMES = st.sampled_from(["fcfs", "_hidden", "$a$ and $b$", "x" * 60, "名前", "\x07bell"])


@st.composite
def served(draw: st.DrawFn) -> Served:
    """One run: requests that never begin or never end, burst or not, known things or not.

    Times are whatever a file of requests may hold: nothing, next to nothing, millions of years.
    """
    n = draw(st.integers(1, 12))
    times = st.sampled_from([0.0, 5e-324, 1e-160, 0.5, 1.0]) | st.floats(0.0, LONGEST / 4)
    arrival = np.sort(draw(st.lists(times, min_size=n, max_size=n)))
    waits = np.array(draw(st.lists(times | st.just(math.nan), min_size=n, max_size=n)))
    lasts = np.array(draw(st.lists(times | st.just(math.nan), min_size=n, max_size=n)))
    tokens = st.lists(st.integers(1, 10**6), min_size=n, max_size=n)
    output = np.array(draw(tokens))
    first = arrival + waits
    output[np.isnan(first)] = 0
    said = st.lists(st.floats(0.0, 1e6) | st.just(math.nan), min_size=n, max_size=n)
    return Served(
        draw(NAMES),
        arrival,
        first,
        first + lasts,
        np.array(draw(tokens)),
        output,
        gap=draw(st.none() | st.just(np.zeros(n))),
        predicted=draw(st.none() | said.map(np.array)),
        tenant=draw(st.just([]) | st.lists(st.none() | NAMES, min_size=n, max_size=n)),
        id=draw(st.just([]) | st.just([f"r{i}" for i in range(n)])),
    )


RUNS = st.lists(served(), min_size=1, max_size=3)
