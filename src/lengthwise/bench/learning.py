"""What learning brought in the course of a run: ``python -m lengthwise.bench.learning RESULTS``.

RESULTS is the folder of a ``lengthwise bench`` in which a policy learned (``lengthwise@learned``).
Prints each policy's mean latency against the first one's, a hundred requests at a time, and what
the learner decided meanwhile.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lengthwise.bench.plan import LEARNED
from lengthwise.core.text import visible
from lengthwise.errors import UserError
from lengthwise.online import history
from lengthwise.online.decisions import AGAIN
from lengthwise.results.files import RequestRow, read_requests, read_results
from lengthwise.results.tables import print_table
from lengthwise.results.terminal import complain, say

_AT_A_TIME = 100


def latencies(rows: list[RequestRow]) -> dict[str, float]:
    """Seconds from arrival to the last token of each request that finished, by its id."""
    return {row.id: row.finish - row.arrival for row in rows if row.finish is not None}


def course(runs: list[list[RequestRow]], at_a_time: int) -> list[list[float]]:
    """Mean latency of each run over the first one's, of so many requests at a time as they came."""
    order = [row.id for row in sorted(runs[0], key=lambda row: row.arrival)]
    found = [latencies(rows) for rows in runs]
    parts = [order[i : i + at_a_time] for i in range(0, len(order), at_a_time)]
    means = [
        [float(np.mean([run[id] for id in part if id in run] or [np.nan])) for run in found]
        for part in parts
    ]
    return [[mean / row[0] for mean in row] for row in means]


def main() -> None:
    """Print the course of the runs, and the decisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("--at-a-time", type=int, default=_AT_A_TIME)
    args = parser.parse_args()
    try:
        runs = read_results(args.results).runs
    except UserError as error:
        complain(str(error))
        raise SystemExit(2) from None
    names = [f"{run.policy}@{run.predictors}" if run.predictors else run.policy for run in runs]
    rows = [read_requests(args.results, number) for number in range(len(runs))]
    table = [
        [
            f"{number * args.at_a_time + 1} to {(number + 1) * args.at_a_time}",
            *(f"{mean:.3f}" for mean in means),
        ]
        for number, means in enumerate(course(rows, args.at_a_time))
    ]
    print_table("mean latency against the first run", ["requests", *names], table)
    for folder in sorted(args.results.glob(f"*@{LEARNED}")):
        for decision in history.read(folder):
            if decision.event != AGAIN:
                say(f"{decision.time:%H:%M:%S} {visible(decision.line)}")


if __name__ == "__main__":
    main()
