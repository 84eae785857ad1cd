"""One burst on one machine: vLLM's own order, TRAIL, and lengthwise without a predictor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lengthwise.bench.compare import compare
from lengthwise.bench.plan import BenchPlan
from lengthwise.models.smollm2 import prepare_smollm2
from lengthwise.predictors.store import BUILTIN
from lengthwise.results.record import Run
from lengthwise.results.terminal import rule, say
from lengthwise.traces.prompts import read_prompts
from lengthwise.workload.prompts import DOCUMENTS

SERVED = 64
CAP = 96

POLICIES = ("stock", "trail", "lengthwise@none")
"""TRAIL has the shipped predictors, which were trained on other prompts; lengthwise has none."""


def demo(out: Path) -> None:
    """Prepare the model, and serve documents and short questions under each policy."""
    rule("1. the model")
    model = prepare_smollm2()
    say(f"SmolLM2-135M-Instruct in {model}")

    rule("2. the same prompts under three policies, on the real vLLM engine")
    say(
        f"{SERVED} prompts at once, 8 seats: half are short questions, half documents of 100 to "
        "1,500 tokens with a question. trail has the shipped predictors; lengthwise has none, "
        "and nothing was trained for it."
    )
    prompts = read_prompts(DOCUMENTS, SERVED)
    plan = BenchPlan(model, prompts, list(POLICIES), BUILTIN, seats=8, cap=CAP)
    for line in against_stock(compare(plan, out)):
        say(line)
    say(f"saved in {out / 'results.json'}")


def against_stock(runs: Sequence[Run]) -> list[str]:
    """A line for each run after the first: its figures over the first one's."""
    stock, *others = runs
    return [_compared(stock, run) for run in others]


def _compared(stock: Run, run: Run) -> str:
    names = {
        "mean latency": "mean_latency_s",
        "mean TTFT": "mean_ttft_s",
        "p99": "p99_latency_s",
        "tokens/s": "tokens_per_s",
    }
    ratios = ", ".join(f"{name} {run[key] / stock[key]:.2f}" for name, key in names.items())
    told = "without a predictor" if run.get("predictors") is None else "with its predictor"
    return (
        f"{run.policy} {told}, as shares of stock's: {ratios}; "
        f"answers that differ: {run['other_answers']} of {run['finished']}"
    )
