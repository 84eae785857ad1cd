"""``lengthwise evaluate``: predictors on held-out prompts."""

from __future__ import annotations

from pathlib import Path

import click

from lengthwise.cli import flags, reporting, values
from lengthwise.cli.groups import examples, result_on_stdout
from lengthwise.cli.train import arrival, backbone, data, served_model
from lengthwise.core.checks import at_least, folder_for
from lengthwise.errors import UserError
from lengthwise.report.files import check_file
from lengthwise.results.terminal import say


@click.command(
    short_help="Judge length predictors on held-out prompts.",
    epilog=examples(
        "lengthwise evaluate data --predictors trail,ltr:pairwise,constant",
        "lengthwise evaluate data --shift other-data --samples sample-1,sample-2",
    ),
)
@data
@flags.named("--predictors", None, "E.g. trail,ltr:pairwise (default: all).")
@click.option(
    "--shift",
    type=values.folders,
    default="",
    metavar="FOLDER,...",
    help="Collected answers to other prompts.",
)
@click.option(
    "--samples",
    type=values.folders,
    default="",
    metavar="FOLDER,...",
    help="The same prompts sampled: a folder for each seed, two or more of each temperature.",
)
@served_model
@arrival
@flags.text("--policy", "trail", "NAME", "What schedules by the predictions.")
@flags.requests("Simulated in each run.", 400)
@flags.repeat(20, "Simulated runs, for the intervals.")
@flags.whole("--resamples", 1000, "Of the prompts, for the intervals.")
@flags.workers
@backbone
@flags.seed
@flags.out("results/leaderboard", "What was fitted there to the same data is not fitted again.")
@reporting.report
@flags.as_json
def evaluate(
    data: tuple[Path, ...],
    predictors: list[str] | None,
    shift: list[Path],
    samples: list[Path],
    model: str | None,
    arrival: str,
    policy: str,
    requests: int,
    repeat: int,
    resamples: int,
    workers: int,
    backbone: str | None,
    seed: int,
    out: Path,
    report: Path | None,
    as_json: bool,
) -> None:
    """Judge predictors on the held-out prompts of the folders DATA (of lengthwise collect)."""
    from lengthwise.answers.files import read_meta
    from lengthwise.predictors import NAMES, check_name

    names = list(NAMES) if predictors is None else [name for name in predictors if name]
    for name in [*names, arrival]:
        check_name(name)
    at_least(0, seed=seed)
    folder_for(out)
    check_file(report)
    for folder in [*data, *shift, *samples]:
        read_meta(folder)
    from lengthwise.evaluate.latency import Trial
    from lengthwise.evaluate.leaderboard import EvaluationPlan
    from lengthwise.evaluate.leaderboard import evaluate as judge
    from lengthwise.predictors.base import Fitting

    plan = EvaluationPlan(
        list(data),
        names,
        out,
        shift,
        samples,
        model,
        arrival,
        Fitting(backbone=backbone, seed=seed),
        resamples,
        Trial(policy, requests=requests, runs=repeat, workers=workers),
    )
    with result_on_stdout(as_json, out / "leaderboard.json"):
        board = judge(plan)
        from lengthwise.evaluate.plots import draw
        from lengthwise.evaluate.table import show

        show(board.content)
        for path in [out / "leaderboard.json", *draw(board, out)]:
            say(path)
        if report is not None:
            from lengthwise.evaluate.page import page_of
            from lengthwise.report.write import write_page

            write_page(page_of(board), report)
            say(f"report: {report}")
    failed = board.content["failed"]
    if failed:
        of = f"{len(failed)} of {len(plan.predictors)} predictors"
        raise UserError(f"{of} could not be judged ({', '.join(failed)}); the others are saved")
