"""``lengthwise evaluate``."""

from __future__ import annotations

import argparse
from pathlib import Path

from lengthwise.core.checks import at_least, folder_for
from lengthwise.errors import UserError


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``evaluate``."""
    it = commands.add_parser("evaluate", help="judge length predictors on held-out prompts")
    it.add_argument("data", type=Path, nargs="+", help="folders that collect filled")
    it.add_argument("--predictors", help="comma separated, e.g. trail,ltr:pairwise; default: all")
    it.add_argument("--shift", type=Path, nargs="+", default=[], help="folders of other prompts")
    it.add_argument(
        "--samples",
        type=Path,
        nargs="+",
        default=[],
        help="the same prompts sampled: a folder for each seed, two or more a temperature",
    )
    it.add_argument("--model", help="the served model, for predictors that read text")
    it.add_argument("--arrival", default="embeddings", help="ranks before hidden states are there")
    it.add_argument("--policy", default="trail", help="what schedules by the predictions")
    it.add_argument("--requests", type=int, default=400, help="simulated in each run")
    it.add_argument("--runs", type=int, default=20, help="simulated runs, for the intervals")
    it.add_argument("--resamples", type=int, default=1000, help="of the prompts, likewise")
    it.add_argument("--workers", type=int, default=0, help="processes; 0 is one for each core")
    it.add_argument("--backbone", help="pretrained encoder or OPT: a folder or hub name")
    it.add_argument("--seed", type=int, default=0)
    it.add_argument(
        "--out",
        type=Path,
        default=Path("results/leaderboard"),
        help="what was fitted there to the same data is not fitted again",
    )
    it.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> None:
    from lengthwise.answers.files import read_meta
    from lengthwise.predictors import NAMES, check_name

    names = [name for name in (args.predictors or "").split(",") if name]
    if args.predictors is None:
        names = list(NAMES)
    for name in [*names, args.arrival]:
        check_name(name)
    at_least(0, seed=args.seed)
    folder_for(args.out)
    for folder in [*args.data, *args.shift, *args.samples]:
        read_meta(folder)
    from lengthwise.evaluate.latency import Trial
    from lengthwise.evaluate.leaderboard import Plan, evaluate
    from lengthwise.evaluate.plots import draw
    from lengthwise.evaluate.table import show
    from lengthwise.predictors.base import Fitting
    from lengthwise.results.terminal import say

    plan = Plan(
        args.data,
        names,
        args.out,
        args.shift,
        args.samples,
        args.model,
        args.arrival,
        Fitting(backbone=args.backbone, seed=args.seed),
        args.resamples,
        Trial(args.policy, requests=args.requests, runs=args.runs, workers=args.workers),
    )
    board = evaluate(plan)
    show(board.content)
    for path in [args.out / "leaderboard.json", *draw(board, args.out)]:
        say(path)
    failed = board.content["failed"]
    if failed:
        of = f"{len(failed)} of {len(plan.predictors)} predictors"
        raise UserError(f"{of} could not be judged ({', '.join(failed)}); the others are saved")
