"""The advice as a page: the verdict first, then what it rests on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lengthwise.advise import tables, target_tables
from lengthwise.advise.advice import MEAN, P99, TTFT, Advice
from lengthwise.advise.plan import DATA, PRESENT
from lengthwise.advise.show import speed_of
from lengthwise.advise.source import Source
from lengthwise.advise.target_page import target_sections
from lengthwise.advise.traffic import load_over_time
from lengthwise.advise.verdict import Verdict, share
from lengthwise.report.change import Figure
from lengthwise.report.charts import by_length, distribution, over_time
from lengthwise.report.charts.calibration import calibration
from lengthwise.report.charts.load import Curve, against_load
from lengthwise.report.origin import origin
from lengthwise.report.parts import Chart, Page, Part, Section, Text
from lengthwise.report.served import Served
from lengthwise.report.tables import fairness
from lengthwise.report.tables.passed import passed


def page_of(advice: Advice, source: Source, said: Verdict) -> Page:
    """The report of an advice."""
    both = [advice.served(advice.run(each, PRESENT)) for each in (advice.stock, advice.advised)]
    every = [advice.served(advice.run(each, PRESENT)) for each in advice.plan.contenders]
    sections = [
        Section("Were seats or memory ever full?", _fullness(advice, source, both)),
        *target_sections(advice, every),
        Section("What each policy would change", _changes(advice, every)),
        *([Section("How much more traffic", _more(advice))] if advice.capacities else []),
        Section("Who gains, who loses", _who(both)),
        Section("What predictions would add", _predictions(advice)),
        Section("How sure this is", _sure(advice, source)),
    ]
    notes = source.notes
    seeds = f"{advice.plan.seed} (errors of predictors, resamples)"
    return Page(f"Advice for {source.name}", _summary(advice, said), sections, origin(seeds, notes))


def _summary(advice: Advice, said: Verdict) -> Sequence[Part]:
    parts: list[Part] = [Text(said.headline, strong=True)]
    if said.switch:
        parts.append(Text(f"The flag: {said.flag}"))
    parts += map(Text, said.reasons)
    if advice.classes is not None:
        parts.append(target_tables.attainment(advice))
    return [*parts, tables.present(advice)]


def _fullness(advice: Advice, source: Source, both: Sequence[Served]) -> Sequence[Part]:
    seen, setup = advice.watched, advice.plan.setup
    parts: list[Part] = [Text(each) for each in source.observed]
    parts.append(
        Text(
            f"Simulated under {advice.stock} with {seen.seats} seats and "
            f"{setup.blocks * setup.block_size:,} tokens of KV memory, requests waited in "
            f"{share(seen.waiting_share)} of the time."
        )
    )
    limits = (setup.seats, setup.blocks * setup.block_size)
    return [*parts, load_over_time(source.whole), over_time.over_time(both, *limits)]


def _changes(advice: Advice, every: Sequence[Served]) -> Sequence[Part]:
    charts = [
        _against(advice, "mean-latency-by-load", MEAN),
        _against(advice, "p99-latency-by-load", P99),
        _against(advice, "mean-ttft-by-load", TTFT),
    ]
    return [tables.at_loads(advice), *charts, distribution.latency(every), distribution.ttft(every)]


def _against(advice: Advice, name: str, figure: Figure) -> Chart:
    rate, stock = advice.plan.workload.rate, advice.stock
    curves = []
    for each in advice.plan.contenders:
        found = [advice.change(each, load, figure) for load in advice.plan.loads]
        value = np.array([it.after for it in found])
        # The interval is that of the change: the first contender is the measure.
        before = np.array([it.before for it in found])
        low, high = (
            before * (1.0 + np.array([getattr(it, end) for it in found])) for end in ("low", "high")
        )
        if each == stock:
            low = high = value
        curves.append(Curve(str(each), rate * np.array(advice.plan.loads), value, low, high))
    return against_load(name, figure.name, "s", curves)


def _more(advice: Advice) -> Sequence[Part]:
    return [tables.capacities(advice)]


def _who(both: Sequence[Served]) -> Sequence[Part]:
    parts: list[Part] = [fairness.by_length(both)]
    if any(both[0].tenant):
        parts.append(fairness.by_tenant(both))
    charts = [by_length.by_prompt(both), by_length.by_output(both)]
    return [*parts, *charts, passed(both)]


def _predictions(advice: Advice) -> Sequence[Part]:
    known = advice.supported
    if not known.tells:
        return [
            Text(
                "What the data itself says of a request when it comes "
                f"({known.of}) does not tell how long its answer becomes: it orders "
                f"{share(known.pairs)} of pairs right, and one half is chance. The texts of the "
                "prompts may tell more; lengthwise learns from them while it serves."
            )
        ]
    told = [each for each in advice.plan.contenders if each.predictor == DATA]
    parts: list[Part] = [
        Text(
            f"From {known.of} alone, of two requests the longer answer is told right for "
            f"{share(known.pairs)} of pairs (one half is chance); each request is predicted from "
            "those before it. Lengthwise learns from the prompts' texts too, so it should lie "
            "between this and a perfect predictor."
        )
    ]
    if told:
        parts.append(calibration([advice.served(advice.run(told[0], PRESENT))]))
    return parts


def _sure(advice: Advice, source: Source) -> Sequence[Part]:
    parts: list[Part] = [
        Text(speed_of(source)),
        *(Text(f"{each[:1].upper()}{each[1:]}.") for each in source.calibration.notes),
        Text(
            "Intervals are over resamples of the trace in blocks of time. They do not know of "
            "other days than those in the trace, nor of clients that send less when answers are "
            "late."
        ),
    ]
    if advice.unsure:
        parts.append(tables.unsure(advice))
    return parts
