"""``lengthwise advise``: what another policy would change for the user's own traffic."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lengthwise.cli import flags, values
from lengthwise.cli.calibration import Speed, speed
from lengthwise.cli.groups import examples, result_on_stdout
from lengthwise.cli.padded import refuse_padded
from lengthwise.cli.service import Service, check_promises, service
from lengthwise.cli.traffic import Traffic, traffic
from lengthwise.core import checks
from lengthwise.core.service import Classes
from lengthwise.errors import UserError
from lengthwise.results.terminal import say

if TYPE_CHECKING:
    from lengthwise.calibration import Calibration
    from lengthwise.traces import Trace


POLICIES = ("lengthwise", "lengthwise@data", "lengthwise@oracle", "trail@data")
WITH_CLASSES = ("lengthwise+targets", "lengthwise+targets@data", "lengthwise", "fcfs+priority")
"""What is compared unless the user says."""


@dataclass(frozen=True)
class Compared:
    """Flags that say what is compared, and where the advice goes."""

    policies: list[str] | None
    loads: str
    ttft_target: float | None
    watermark: float
    most: int
    rate: float | None
    attain: float | None
    seed: int
    workers: int
    out: Path
    report: Path | None
    as_json: bool

    @property
    def page(self) -> Path:
        """Where the page goes."""
        return self.report or self.out / "advice.html"


compared = flags.bundle(
    Compared,
    flags.policies(
        None,
        "Policies to compare with stock's order of arrival; the first is advised. @data: told what "
        "the trace itself tells of a request when it comes; @oracle: its true length.  [default: "
        f"{','.join(POLICIES)}; with --classes {','.join(WITH_CLASSES)}]",
    ),
    flags.loads("1,1.1,1.25,1.5", "Factors of the trace's own arrival rate."),
    flags.number(
        "--ttft-target",
        None,
        "Seconds for 99 % of the first tokens: the most traffic within it is looked for "
        "(default: 1.5 times what they take now).",
    ),
    flags.watermark,
    flags.whole("--most", 20_000, "Requests to simulate at most: the busiest in a row."),
    flags.number("--rate", None, "Requests per second, for a file without times."),
    flags.number(
        "--attain",
        None,
        "Share of each class of --classes that is to get what it is promised: the most traffic "
        "with it is looked for (default: 0.99).",
    ),
    flags.seed,
    flags.workers,
    flags.out("results/advise"),
    click.option(
        "--report",
        type=values.PATH,
        metavar="FILE.html",
        help="The page (default: advice.html in the folder of --out).",
    ),
    flags.as_json,
)


@click.command(
    short_help="Say what switching would change for your own traffic.",
    epilog=examples(
        "lengthwise advise requests.csv --card h100-sxm --model llama-3.1-8b",
        "lengthwise advise vllm.log",
        "lengthwise advise bench-result.json --seats 256",
        "lengthwise advise http://localhost:8000",
        "lengthwise advise vllm.log --classes classes.toml --attain 0.99",
    ),
)
@traffic
@speed
@compared
@service
def advise(traffic: Traffic, speed: Speed, compared: Compared, service: Service) -> None:
    """Say what each policy would change for your own traffic.

    WORKLOAD is what you have: a log of requests, a trace, the result of vllm bench serve, or the
    address of a running vLLM, which is watched for --watch seconds.
    """
    from lengthwise.advise.advice import find
    from lengthwise.advise.gather import Options, gathered
    from lengthwise.advise.page import page_of
    from lengthwise.advise.record import write
    from lengthwise.advise.show import show
    from lengthwise.advise.target_verdict import target_verdict
    from lengthwise.advise.verdict import verdict
    from lengthwise.report.files import check_file
    from lengthwise.report.write import write_page

    checks.folder_for(compared.out)
    check_file(compared.page)
    checks.at_least(1, most=compared.most)
    checks.at_least(0, workers=compared.workers, seed=compared.seed)
    classes = service.read()
    policies = compared.policies or [*(POLICIES if classes is None else WITH_CLASSES)]
    refuse_padded(policies, "lengthwise simulate padded")
    check_promises(policies, classes)
    checks.share(watermark=compared.watermark)
    checks.positive(ttft_target=compared.ttft_target, rate=compared.rate)
    options = Options(
        tuple(policies),
        tuple(checks.numbers("loads", compared.loads)),
        compared.watermark,
        compared.ttft_target,
        compared.most,
        compared.seed,
        classes,
        _attain(compared.attain, classes),
    )
    options.check()
    results = compared.out / "results.json"
    with result_on_stdout(compared.as_json, results):
        trace, calibration, observed = _sources(traffic, speed, compared)
        trace = replace(trace, workload=service.mixed(trace.workload, compared.seed))
        plan, source, supported = gathered(trace, calibration, options, observed)
        found = find(plan, supported, compared.workers)
        said = verdict(found) if classes is None else target_verdict(found, service.classes or "")
        write(found, source, said, compared.out)
        write_page(page_of(found, source, said), compared.page)
        show(found, source, said)
        say(f"report: {compared.page}; results: {results}")


def _attain(given: float | None, classes: Classes | None) -> float:
    """The share of each class that is to get what it is promised.

    Raises:
        UserError: if there are no classes, or it is no share.
    """
    if given is None:
        return 0.99
    if classes is None:
        raise UserError("--attain is a share of the classes of --classes FILE: give that, too")
    if not 0.0 < given <= 1.0:
        raise UserError(f"--attain must be above 0 and at most 1, like 0.99, not {given:g}")
    return given


def _sources(
    traffic: Traffic, speed: Speed, compared: Compared
) -> tuple[Trace, Calibration, tuple[str, ...]]:
    """The requests, the engine's speed, and what the data itself says of waiting."""
    from lengthwise.advise import observed

    if traffic.workload is not None and "://" in traffic.workload:
        return _server(traffic.workload, speed, compared)
    trace = traffic.read()
    if compared.rate is not None:
        if trace.timed:
            raise UserError(
                f"{trace.workload.name} says when its requests came: --rate is for files without "
                "times; --loads are factors of its own rate"
            )
        from lengthwise.workload import with_arrivals

        arriving = with_arrivals(trace.workload, "poisson", compared.rate, seed=compared.seed)
        found = (*trace.found, f"arrivals made up: Poisson at {compared.rate:g} requests/s")
        trace = replace(trace, workload=arriving, timed=True, found=found)
    speed = _with_log(speed, traffic, trace)
    # Flags that do not go together are refused before any of their files is read.
    calibration = speed.calibration(trace)
    seen = observed.of_requests(trace)
    if speed.log is not None:
        seen = (*seen, *observed.of_log(speed.log))
    return trace, calibration, seen


def _with_log(speed: Speed, traffic: Traffic, trace: Trace) -> Speed:
    """With the file of the requests as vLLM's log, if it is one and has its statistics.

    A flag that says how fast the engine is stands above it.
    """
    from lengthwise.traces.vllm_log import NAME

    told = speed.profile or speed.engine_log or speed.metrics or speed.card
    if told or trace.format != NAME or traffic.workload is None:
        return speed
    asked = replace(speed, engine_log=Path(traffic.workload))
    with suppress(UserError):
        if asked.log is not None:
            return asked
    return speed


def _server(
    address: str, speed: Speed, compared: Compared
) -> tuple[Trace, Calibration, tuple[str, ...]]:
    """A running server: requests drawn from its histograms, its speed from its own figures."""
    from lengthwise.advise import observed
    from lengthwise.advise.gather import MOST

    asked = replace(speed, metrics=speed.metrics or address)
    server = asked.server
    assert server is not None
    trace = server.trace(min(compared.most, MOST), compared.seed)
    return trace, asked.calibration(trace), observed.of_server(server)
