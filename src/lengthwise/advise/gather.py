"""From a trace and a calibration to what is simulated, with a note on all that was assumed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lengthwise.advise.plan import DATA, PRESENT, STOCK, AdvicePlan, Contender
from lengthwise.advise.source import Source
from lengthwise.advise.supported import Supported, supported
from lengthwise.calibration import Calibration
from lengthwise.core.service import Classes
from lengthwise.errors import UserError
from lengthwise.sim.setup import Setup
from lengthwise.traces.trace import Trace
from lengthwise.workload.workload import Workload

MOST = 20_000
"""Requests that are simulated at most, unless asked for more: the busiest in a row."""

_SEATS, _BUDGET, _KV_TOKENS, _BLOCK = 256, 2048, 400_000, 16


@dataclass(frozen=True)
class Options:
    """What the user decides.

    Attributes:
        policies: ``policy`` or ``policy@predictor``, beside what a stock vLLM does.
        loads: factors of the arrival rate; the present one is always among them.
        watermark: blocks that stay free at an admission, as a share (vLLM's ``--watermark``).
        target: seconds for 99 % of the first tokens; None is 1.5 times what they are now.
        most: requests that are simulated.
        classes: service classes of the requests, if there are any.
        attain: share of each class that is to get what it is promised.
    """

    policies: tuple[str, ...]
    loads: tuple[float, ...]
    watermark: float = 0.0
    target: float | None = None
    most: int = MOST
    seed: int = 0
    classes: Classes | None = None
    attain: float = 0.99

    def check(self) -> None:
        """Refuse policies that do not exist, before any file is read.

        Raises:
            UserError: names the policy.
        """
        for text in self.policies:
            Contender.parse(text)


def gathered(
    trace: Trace, calibration: Calibration, options: Options, observed: tuple[str, ...] = ()
) -> tuple[AdvicePlan, Source, Supported]:
    """What to simulate; where it comes from; what the data tells about answers.

    Raises:
        UserError: if it cannot be simulated.
    """
    whole = trace.workload
    served, notes = _busiest(whole, options.most)
    setup, assumed = setup_of(calibration)
    setup = replace(setup, classes=options.classes)
    known = supported(served, options.seed)
    contenders, dropped = _contenders(options, known)
    plan = AdvicePlan(
        served,
        contenders,
        calibration.steps,
        setup,
        tuple(sorted({PRESENT, *options.loads})),
        known.predicted if known.tells else None,
        (calibration.fastest, calibration.slowest),
        options.target,
        options.seed,
        options.attain,
    )
    plan.check()
    too_large = _too_large(served, plan.setup_of(plan.stock))
    rows = f"{trace.rows:,} rows read as {trace.format}, {len(whole):,} requests"
    said = (rows, *map(str, trace.left_out), *trace.found, *notes, *assumed, *too_large, *dropped)
    left_out = {each.reason: each.rows for each in trace.left_out}
    source = Source(
        whole.name, whole, calibration, trace.rows, left_out, trace.found, observed, said
    )
    return plan, source, known


def setup_of(calibration: Calibration) -> tuple[Setup, list[str]]:
    """The simulated engine; a sentence for each size that nothing told."""
    notes = []

    def known(value: int | None, otherwise: int, what: str, flag: str) -> int:
        if value is None:
            notes.append(f"assumed: {otherwise:,} {what}, as nothing tells; say it by {flag}")
        return otherwise if value is None else value

    seats = known(calibration.seats, _SEATS, "seats", "--seats")
    budget = known(calibration.budget, max(_BUDGET, seats), "tokens in a step at most", "--budget")
    tokens = known(calibration.kv_tokens, _KV_TOKENS, "tokens of KV memory", "--kv-tokens")
    block = calibration.block_size or _BLOCK
    return Setup(
        seats=seats, budget=max(budget, seats), blocks=max(tokens // block, 1), block_size=block
    ), notes


def _too_large(workload: Workload, setup: Setup) -> list[str]:
    """A note on requests that the engine refuses under every policy."""
    sizes = (workload.prompt + workload.output).tolist()
    refused = sum(not setup.holds(tokens) for tokens in sizes)
    if refused == len(workload):
        raise UserError(
            f"{workload.name}: no request fits into {setup.blocks * setup.block_size:,} tokens of "
            "KV memory: give more by --kv-tokens, or a larger card"
        )
    if not refused:
        return []
    return [f"{refused:,} requests are larger than the KV memory: every policy refuses them"]


def _busiest(workload: Workload, most: int) -> tuple[Workload, list[str]]:
    """The requests in a row in which the most tokens came per second."""
    n = len(workload)
    if n <= most:
        return workload, []
    tokens = np.concatenate([[0], np.cumsum(workload.prompt - workload.prefix + workload.output)])
    seconds = np.maximum(workload.arrival[most - 1 :] - workload.arrival[: n - most + 1], 1e-9)
    first = int(np.argmax((tokens[most:] - tokens[: n - most + 1]) / seconds))
    index = np.arange(first, first + most)
    arrival = workload.arrival[index]
    start, end = float(arrival[0]), float(arrival[-1])
    note = (
        f"simulated are {most:,} of the {n:,} requests: those from {start:,.0f} s to {end:,.0f} s, "
        "in which the most tokens came per second; choose others by --from and --to, or more by "
        "--most"
    )
    return workload.rows(index, arrival - arrival[0]), [note]


def _contenders(options: Options, known: Supported) -> tuple[tuple[Contender, ...], list[str]]:
    kept = options.watermark
    found = [Contender.parse(STOCK, kept)]
    notes = []
    for text in options.policies:
        contender = Contender.parse(text, kept)
        if contender.predictor == DATA and not known.tells:
            notes.append(f"{text} is left out: the data does not tell how long answers become")
        elif contender not in found:
            found.append(contender)
    if not kept:
        found.append(Contender.parse(STOCK, 0.01))
    return tuple(found), notes
