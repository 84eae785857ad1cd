"""The whole way on one machine, from model to comparison."""

from __future__ import annotations

import json
from pathlib import Path

from lengthwise.bench.compare import compare
from lengthwise.bench.plan import BenchPlan
from lengthwise.models.smollm2 import cache_folder, prepare_smollm2
from lengthwise.predictors.store import BUILTIN, predictors_folder
from lengthwise.results.terminal import rule, say
from lengthwise.training import collect, train
from lengthwise.workload.prompts import held_out, read_prompts

COLLECTED = 48
SERVED = 64


def demo(out: Path) -> None:
    """Prepare the model, show training in small, serve held-out prompts FCFS and by TRAIL.

    Model, collected data and trained probe are cached, so a second run starts serving
    at once. The comparison uses the shipped probe, trained by the same commands on all
    shipped prompts (docs/guides/train.md); none of the served prompts was trained on.
    """
    rule("1. the model")
    model = prepare_smollm2()
    say(f"SmolLM2-135M-Instruct in {model}")

    prompts = read_prompts(BUILTIN)
    rule("2. collect hidden states and remaining lengths (in small)")
    data = cache_folder() / "demo-collected"
    collect.collect(model, prompts[:COLLECTED], data, collect.Options(cap=256))

    rule("3. train the probe and the prompt predictor (in small)")
    trained = cache_folder() / "demo-probe"
    if not (trained / "predictors.json").exists():
        train.train(train.TrainingPlan("trail", [data])).save(trained)
    _show_report("trained just now, on a handful of prompts", trained)
    _show_report("shipped, used below", predictors_folder(BUILTIN))

    rule("4. the same prompts, first come first served and by TRAIL")
    served = [prompt for prompt in prompts if held_out(prompt.id)][:SERVED]
    plan = BenchPlan(model, served, ["stock", "trail"], BUILTIN, seats=8)
    stock, trail = compare(plan, out)
    say(
        f"mean latency {stock['mean_latency_s'] / trail['mean_latency_s']:.2f}x lower, "
        f"mean time to first token {stock['mean_ttft_s'] / trail['mean_ttft_s']:.2f}x lower, "
        f"throughput {trail['tokens_per_s'] / stock['tokens_per_s']:.2f}x; "
        f"answers that differ: {trail['other_answers']} of {trail['finished']}"
    )
    say(f"saved in {out / 'results.json'}")


def _show_report(what: str, folder: Path) -> None:
    report = json.loads((folder / "predictors.json").read_text())["report"]
    errors = report["mae_served"]
    say(
        f"{what}: mean absolute error of the remaining tokens on "
        f"{report['prompts']['held_out']} held-out prompts: refined probe "
        f"{errors['probe_refined']}, prompt only {errors['prompt_only']}, "
        f"constant median {errors['constant_median']}"
    )
