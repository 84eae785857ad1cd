"""Somebody floods a server with short requests: ``python -m lengthwise.bench.adversary MODEL``.

The flood alone is ``--share`` of what the engine can serve, for so many seconds; others send
documents meanwhile, and the two together are more than it can serve. Whoever ranks by length
alone lets the flood go first until it ends. ``lengthwise`` promises a bound on its clock of
admitted work (:mod:`lengthwise.policies.gate`); here it is compared in seconds.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lengthwise.bench.compare import compare
from lengthwise.bench.plan import BenchPlan
from lengthwise.policies.gate import bound
from lengthwise.policies.lengthwise import Lengthwise
from lengthwise.results.files import RequestRow, read_requests
from lengthwise.results.tables import print_table
from lengthwise.traces.prompts import read_prompts
from lengthwise.workload.document_prompts import is_document
from lengthwise.workload.prompts import DOCUMENTS, Prompt

_OTHERS = 0.5
"""What the others send, as a share of what the engine can serve."""

_PROBE = 40
"""Requests of a burst that shows how many of a kind the engine serves in a second."""


@dataclass(frozen=True)
class Flood:
    """The traffic: prompts in the order of their times, and which are the flood's."""

    prompts: list[Prompt]
    times: list[float]
    short: set[str]

    @classmethod
    def of(cls, seconds: float, documents: float, shorts: float, seed: int) -> Flood:
        """Poisson arrivals of so many of each kind a second."""
        rng = np.random.default_rng(seed)
        long_ones, short_ones = kinds()
        found: list[tuple[float, Prompt]] = []
        for prompts, rate in ((long_ones, documents), (short_ones, shorts)):
            times = np.sort(rng.uniform(0.0, seconds, rng.poisson(rate * seconds)))
            for number, time in enumerate(times.tolist()):
                prompt = prompts[number % len(prompts)]
                again = number // len(prompts)
                found.append((time, Prompt(f"{prompt.id}#{again}", prompt.text)))
        found.sort(key=lambda each: each[0])
        short = {prompt.text for prompt in short_ones}
        return cls(
            [prompt for _, prompt in found],
            [time for time, _ in found],
            {prompt.id for _, prompt in found if prompt.text in short},
        )


def kinds() -> tuple[list[Prompt], list[Prompt]]:
    """The shipped documents, and the short questions."""
    prompts = read_prompts(DOCUMENTS)
    documents = [prompt for prompt in prompts if is_document(prompt.text)]
    return documents, [prompt for prompt in prompts if not is_document(prompt.text)]


def main() -> None:
    """Measure what the engine can serve, flood it under each policy, and print who waited."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--policies", default="stock,lengthwise,spf")
    parser.add_argument("--share", type=float, default=0.7)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seats", type=int, default=8)
    parser.add_argument("--max-tokens", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/adversary"))
    args = parser.parse_args()
    shape = {"seats": args.seats, "cap": args.max_tokens, "seed": args.seed}
    rates = []
    for kind in kinds():
        plan = BenchPlan(args.model, kind[:_PROBE], ["stock"], None, **shape)
        (run,) = compare(plan, args.out / "capacity")
        rates.append(float(run["full_requests_per_s"]))
    flood = Flood.of(args.seconds, _OTHERS * rates[0], args.share * rates[1], args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    trace = args.out / "arrivals.csv"
    trace.write_text("t_s\n" + "".join(f"{time}\n" for time in flood.times))
    policies = args.policies.split(",")
    plan = BenchPlan(args.model, flood.prompts, policies, None, trace=trace, **shape)
    compare(plan, args.out)
    show(flood, policies, args.out, args.seats)


def show(flood: Flood, policies: list[str], out: Path, seats: int) -> None:
    """The waits of flood and others, and what is promised: from the first policy's waits."""
    rows, allowed = [], 0.0
    for number, policy in enumerate(policies):
        found = [Served.of(row) for row in read_requests(out, number)]
        if not number:
            # A request's part of the time that it sits beside others.
            largest = max(each.seated for each in found) / seats
            longest = max(each.wait for each in found)
            allowed = bound(longest, largest, Lengthwise().tolerance)
        floods = [each.wait for each in found if each.id in flood.short]
        others = [each.wait for each in found if each.id not in flood.short]
        figures = np.mean(floods), np.mean(others), np.max(others)
        rows.append((policy, *(f"{figure:.1f} s" for figure in figures)))
    title = (
        f"{len(flood.short)} short requests and {len(flood.prompts) - len(flood.short)} others; "
        f"with {policies[0]}'s longest wait the bound is {allowed:.1f} s"
    )
    heads = ("policy", "mean wait, flood", "mean wait, others", "longest wait, others")
    print_table(title, heads, rows, width=110)


class Served(NamedTuple):
    """A request's wait for its first token, and the seconds from there to its last."""

    id: str
    wait: float
    seated: float

    @classmethod
    def of(cls, row: RequestRow) -> Served:
        """A served request's; whatever failed is an error."""
        assert row.first is not None
        assert row.finish is not None
        return cls(row.id, row.first - row.arrival, row.finish - row.first)


if __name__ == "__main__":
    main()
