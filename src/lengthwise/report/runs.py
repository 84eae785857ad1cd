"""The page of a study: what each of its runs got, at each traffic."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from lengthwise.report.change import FIGURES
from lengthwise.report.charts.by_length import by_output, by_prompt
from lengthwise.report.charts.calibration import calibration
from lengthwise.report.charts.distribution import latency, ttft
from lengthwise.report.charts.over_time import over_time
from lengthwise.report.loads import load_sections
from lengthwise.report.numbers import seconds
from lengthwise.report.pairs import study_pair
from lengthwise.report.parts import Origin, Page, Part, Section, Text
from lengthwise.report.results import Study, kv_tokens_of, seats_of
from lengthwise.report.served import Served
from lengthwise.report.tables.fairness import by_length, by_tenant
from lengthwise.report.tables.numbers import of_runs
from lengthwise.report.tables.passed import passed
from lengthwise.report.tables.preemptions import preemptions
from lengthwise.report.targets import target_sections, target_verdicts
from lengthwise.results.record import Run
from lengthwise.results.runs import mean

MOST = 8
"""Runs in a chart: as many as there are colours."""

_MUCH = 0.01
_TOLD = ("mean latency", "p99 latency", "mean TTFT")

TITLES = {
    "bench": "Policies on vLLM",
    "bench-padded": "Padded batches on transformers",
    "bench-routers": "Routers over vLLM",
    "simulate": "Simulated policies",
    "simulate-fleets": "Simulated fleets",
}


def page_of(study: Study, origin: Origin) -> Page:
    """The report of a bench or a simulation.

    Charts of single requests are at the heaviest traffic of which there are requests, a burst
    aside; everything else is at every traffic.
    """
    setup = study.results.setup
    what = setup.get("workload") or setup.get("model", "")
    title = f"{TITLES.get(study.results.study, study.results.study)}: {what}"
    numbers = of_runs(study.runs, study.name_of, study.traffic_of, partial(_changed, study))
    said = [*verdicts(study), *target_verdicts(study)]
    summary: list[Part] = [*(Text(each, True) for each in said), numbers]
    sections = [*_requests(study), *target_sections(study, MOST)]
    sections += [*load_sections(study, MOST), *_work(study)]
    return Page(title, summary, sections, origin)


def verdicts(study: Study) -> Iterator[str]:
    """At each traffic, the run with the least mean latency against the first run.

    True lengths are known to no server, so the oracle is not among them.
    """
    for traffic in study.traffics:
        own = [run for run in study.runs if study.traffic_of(run) == traffic and run.finished]
        groups = _by(own, study.name_of)
        if len(groups) < 2:
            continue
        base = groups[0]
        known = [group for group in groups if "oracle" not in (group[0].policy, _told(group[0]))]
        best = min(known or groups, key=lambda group: mean(group, "mean_latency_s"))
        yield f"{traffic}: {_verdict(study, best, base)}"


def _verdict(study: Study, best: Sequence[Run], base: Sequence[Run]) -> str:
    name, first = study.name_of(best[0]), study.name_of(base[0])
    if best is base:
        return f"no mean latency is below that of {first}."
    pair = study_pair(study, base, best)
    found = pair.change(FIGURES[0])
    assert found is not None
    unclear = not (found.sure or math.isnan(found.low))
    if unclear or found.share > -_MUCH:
        lowest = f"The lowest is that of {name}: {found}."
        return f"no mean latency is clearly below that of {first}. {lowest}"
    changes = [(each.name, pair.change(each)) for each in FIGURES if each.name in _TOLD]
    told = ", ".join(f"{what} {each}" for what, each in changes)
    return (
        f"{name} has the lowest mean latency, {seconds(mean(best, 'mean_latency_s'))}. "
        f"Against {first}: {told}."
    )


def _changed(study: Study, group: Sequence[Run], base: Sequence[Run], field: str) -> str | None:
    figure = next(each for each in FIGURES if each.field == field)
    found = study_pair(study, base, group).change(figure)
    return None if found is None or math.isnan(found.share) else str(found)


def request_sections(
    served: Sequence[Served], seats: int | None = None, kv_tokens: int | None = None
) -> list[Section]:
    """What single requests show: distributions, lengths, time, waits, tenants, predictions."""
    some = served[:MOST]
    note = [] if len(some) == len(served) else [Text(_first_of(len(some), len(served)))]
    sections = [
        Section("How long requests take", [*note, latency(some), ttft(some)]),
        Section("Short and long requests", [by_output(some), by_prompt(some), by_length(served)]),
        Section("Over time", [over_time(some, seats, kv_tokens)]),
        Section("Who waited for whom", [passed(served)]),
    ]
    if any(any(one.tenant) for one in served):
        sections.append(Section("Tenants", [by_tenant(served)]))
    if any(one.predicted is not None for one in some):
        told = [one for one in some if one.predicted is not None]
        sections.append(Section("Predictions", [calibration(told)]))
    return sections


def _requests(study: Study) -> list[Section]:
    traffic = study.heaviest
    if traffic is None:
        return [Section("Requests", [Text("There is no file of single requests of these runs.")])]
    served = study.at(traffic)
    runs = [run for run in study.runs if study.traffic_of(run) == traffic]
    limits = {(seats_of(run), kv_tokens_of(study.results.setup, run)) for run in runs}
    seats, kv_tokens = next(iter(limits)) if len(limits) == 1 else (None, None)
    first, *others = request_sections(served, seats, kv_tokens)
    if len(study.traffics) > 1:
        where = Text(f"Charts and tables of single requests are of this traffic: {traffic}.")
        first = Section(first.title, [where, *first.parts])
    return [first, *others]


def _work(study: Study) -> list[Section]:
    if not any("preemptions" in run or "oom_events" in run for run in study.runs):
        return []
    several = len(study.traffics) > 1

    def name_of(run: Run) -> str:
        name = study.name_of(run)
        return f"{name}, {study.traffic_of(run)}" if several else name

    return [Section("Preemptions", [preemptions(_by(study.runs, name_of), name_of)])]


def _told(run: Run) -> str | None:
    told: str | None = run.get("predictor")
    return told


def _by(runs: Sequence[Run], name_of: Callable[[Run], str]) -> list[list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(name_of(run), []).append(run)
    return list(found.values())


def _first_of(shown: int, all: int) -> str:
    return f"Charts show the first {shown} of {all} runs; tables show all of them."
