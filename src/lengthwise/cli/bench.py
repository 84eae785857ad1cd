"""``lengthwise bench``: policies, routers or padded batches on real engines."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lengthwise.cli import flags, reporting, values
from lengthwise.cli.groups import Modes, examples, result_on_stdout
from lengthwise.cli.padded import refuse_padded
from lengthwise.cli.service import Service, check_promises, service
from lengthwise.core import checks
from lengthwise.report.files import check_file

if TYPE_CHECKING:
    from lengthwise.bench.plan import BenchPlan
    from lengthwise.models.served import TooLong


@click.group(cls=Modes, short_help="Compare policies, routers or padded batches on real engines.")
def bench() -> None:
    """Compare on real engines; without a mode, policies.

    Every run serves the same requests on an engine of its own; runs of one rate take turns.
    """


@dataclass(frozen=True)
class Engine:
    """Flags of the vLLM engines in a bench."""

    seats: int
    max_tokens: int
    kv_blocks: int | None
    block_size: int
    recompute: bool
    margin: float
    predict_interval: int
    too_long: TooLong


@dataclass(frozen=True)
class Arrivals:
    """Flags that say when requests arrive."""

    rates: str | None
    loads: str
    cv: float
    trace: Path | None
    seed: int

    def given(self, otherwise: str = "burst") -> list[float | None]:
        """Requests per second; None is a burst.

        Raises:
            UserError: for what is neither.
        """
        text = otherwise if self.rates is None else self.rates
        return checks.rates(text, {"burst": None}) if text else []


engine = flags.bundle(
    Engine,
    flags.seats(8),
    flags.max_tokens(512),
    flags.kv_blocks(None, "KV memory in blocks, to make it scarce (default: vLLM's own)."),
    flags.block_size(32),
    flags.recompute,
    flags.margin,
    flags.predict_interval("Tokens of a request between two calls of the probe."),
    flags.too_long,
)

arrivals = flags.bundle(
    Arrivals,
    flags.rates("Requests per second, or burst (the default)."),
    flags.loads("", "Rates as shares of the capacity, which the burst shows."),
    flags.cv,
    click.option(
        "--trace",
        type=values.PATH,
        metavar="FILE",
        help="Take the times of arrival from this CSV or JSONL file.",
    ),
    flags.seed,
)


def plan_of(
    model: str,
    prompts: flags.Prompts,
    policies: list[str],
    predictor: str | None,
    engine: Engine,
    arrivals: Arrivals,
    until: int | None,
    rates: list[float | None],
) -> BenchPlan:
    """The plan that all modes of the bench share."""
    from lengthwise.bench.plan import BenchPlan
    from lengthwise.models.fingerprint import model_folder

    settings: dict[str, Any] = {
        "pause": not engine.recompute,
        "margin": engine.margin,
        "interval": engine.predict_interval,
    }
    return BenchPlan(
        model_folder(model),
        prompts.read(),
        policies,
        predictor,
        engine.seats,
        engine.max_tokens,
        rates,
        [*checks.numbers("loads", arrivals.loads)] if arrivals.loads else [],
        arrivals.cv,
        arrivals.trace,
        arrivals.seed,
        engine.kv_blocks,
        engine.block_size,
        settings,
        until,
        engine.too_long,
    )


@bench.command(
    epilog=examples(
        "lengthwise bench MODEL --prompts documents --requests 96",
        "lengthwise bench MODEL --policies stock,lengthwise@none,trail --predictor FOLDER",
        "lengthwise bench MODEL --policies stock,trail@FOLDER --rates burst,0.8 --seats 16",
        "lengthwise bench MODEL --loads 0.5,0.8,1.1 --predictor FOLDER",
    )
)
@flags.model
@flags.policies(
    None,
    "stock is vLLM's own, stock-priority that with --scheduling-policy priority; policy@FOLDER "
    "has its own predictors, policy@none has none.  [default: stock,lengthwise; and trail with "
    "--predictor; with --classes stock,stock-priority,lengthwise,lengthwise+targets]",
)
@flags.predictor()
@flags.prompts
@engine
@arrivals
@service
@flags.until
@flags.out("results/bench")
@reporting.report
@flags.as_json
def policies(
    model: str,
    policies: list[str] | None,
    predictor: str | None,
    prompts: flags.Prompts,
    engine: Engine,
    arrivals: Arrivals,
    service: Service,
    until: int | None,
    out: Path,
    report: Path | None,
    as_json: bool,
) -> None:
    """Compare policies on one vLLM engine.

    MODEL is a folder, or a name in the Hugging Face cache.
    """
    check_file(report)
    if policies is None:
        policies = ["stock", "lengthwise", *(["trail"] if predictor is not None else [])]
        if service.classes is not None:
            policies = ["stock", "stock-priority", "lengthwise", "lengthwise+targets"]
    refuse_padded(policies, "lengthwise bench padded")
    classes = service.read()
    check_promises(policies, classes)
    plan = plan_of(model, prompts, policies, predictor, engine, arrivals, until, arrivals.given())
    plan = replace(plan, prompts=service.spread(plan.prompts, plan.seed))
    if classes is not None:
        plan = replace(plan, settings={**plan.settings, "classes": classes.plain()})
    from lengthwise.bench.compare import compare

    with result_on_stdout(as_json, out / "results.json"):
        compare(plan, out)
        reporting.write_report(out, report)


@bench.command(
    epilog=examples(
        "lengthwise bench routers MODEL --routers least-in-flight,predicted --loads 0.9 "
        "--predictor FOLDER",
    )
)
@flags.model
@flags.routers
@flags.policies("lengthwise", "The order inside each instance.")
@flags.instances(2, "vLLM engines, each a replica on Ray Serve.")
@flags.repeat(1, "How often, each time with other times of arrival.")
@flags.report_interval
@flags.predictor()
@flags.prompts
@engine
@arrivals
@flags.until
@flags.out("results/bench")
@reporting.report
@flags.as_json
def routers(
    model: str,
    routers: list[str],
    policies: list[str],
    instances: int,
    repeat: int,
    report_interval: float,
    predictor: str | None,
    prompts: flags.Prompts,
    engine: Engine,
    arrivals: Arrivals,
    until: int | None,
    out: Path,
    report: Path | None,
    as_json: bool,
) -> None:
    """Compare routers over several vLLM engines on Ray Serve."""
    check_file(report)
    refuse_padded(policies, "lengthwise bench padded")
    rates = arrivals.given("" if arrivals.loads else "burst")
    plan = plan_of(model, prompts, policies, predictor, engine, arrivals, until, rates)
    from lengthwise.bench.routers import RouterPlan, compare_routers

    with result_on_stdout(as_json, out / "results.json"):
        compare_routers(RouterPlan(plan, routers, instances, repeat, report_interval), out)
        reporting.write_report(out, report)


@bench.command(
    epilog=examples(
        "lengthwise bench padded MODEL --policies vanilla,ssjf,magnus,sls,scls --predictor FOLDER",
    )
)
@flags.model
@flags.policies("vanilla,scls", "Systems of padded batches; system@FOLDER has its own predictors.")
@flags.instances(1, "Processes, each with its model.")
@flags.kv_tokens(0, "KV tokens of an instance; 0 is --seats of the longest requests.")
@flags.constants
@click.option(
    "--learn-from",
    type=values.folders,
    default="",
    metavar="FOLDER,...",
    help="Collected answers, for Magnus to go on learning from.",
)
@click.option(
    "--slice-time", type=values.PATH, metavar="FILE", help="slice_time.json of an earlier run."
)
@flags.predictor()
@flags.prompts
@flags.seats(8)
@flags.max_tokens(512)
@flags.too_long
@arrivals
@flags.until
@flags.out("results/bench")
@reporting.report
@flags.as_json
def padded(
    model: str,
    policies: list[str],
    instances: int,
    kv_tokens: int,
    constants: str,
    learn_from: list[Path],
    slice_time: Path | None,
    predictor: str | None,
    prompts: flags.Prompts,
    seats: int,
    max_tokens: int,
    too_long: TooLong,
    arrivals: Arrivals,
    until: int | None,
    out: Path,
    report: Path | None,
    as_json: bool,
) -> None:
    """Compare systems that run padded batches to their end, on transformers' generate."""
    from lengthwise.bench.padded_plan import PaddedPlan
    from lengthwise.padded import Constants

    check_file(report)
    engine = Engine(seats, max_tokens, None, 32, False, 8.0, 1, too_long)
    base = plan_of(model, prompts, policies, predictor, engine, arrivals, until, arrivals.given())
    parsed = Constants.parse(constants)
    plan = PaddedPlan(base, instances, kv_tokens, parsed, learn_from, slice_time)
    # Loading transformers takes seconds, which bad input need not wait for.
    plan.check()
    from lengthwise.bench.padded import batch_compare

    with result_on_stdout(as_json, out / "results.json"):
        batch_compare(plan, out)
        reporting.write_report(out, report)
