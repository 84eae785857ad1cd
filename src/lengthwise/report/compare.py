"""Two results compared: each figure's change with an interval, and what is not comparable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lengthwise.report.change import FIGURES
from lengthwise.report.charts.distribution import latency, ttft
from lengthwise.report.charts.over_time import over_time
from lengthwise.report.numbers import plain
from lengthwise.report.origin import origin_of, seeds_of
from lengthwise.report.pairs import Pair, clear, pairs_of
from lengthwise.report.parts import Cell, Origin, Page, Part, Section, Table, Text
from lengthwise.report.results import Study
from lengthwise.report.runs import MOST
from lengthwise.report.targets import promises, target_changes

_SETUP = {
    "model": "the model",
    "workload": "the workload",
    "profile": "the profile of step times",
    "seats": "the seats",
    "cap": "the most tokens of an answer",
    "budget": "the tokens of a step",
    "kv_blocks": "the KV blocks",
    "blocks": "the KV blocks",
    "block_size": "the tokens of a block",
    "memory": "the KV tokens",
    "instances": "the instances",
    "replicas": "the replicas",
    "prompts": "the number of prompts",
    "requests": "the number of requests",
    "cv": "the variation of arrivals",
    "process": "the process of arrivals",
    "trace": "the trace of arrivals",
}
"""What makes two setups different, by the names of results.json."""


def compare(left: Study, right: Study) -> Page:
    """The report of a second result against a first one."""
    first, second = _names(left, right)
    pairs = pairs_of(left, right)
    differences = [*differing(left, right, first, second), *_unmatched(left, right, pairs)]
    where = Section(
        "Where they are not comparable",
        [Text(each) for each in differences]
        or [Text("The setups, versions, machines and seeds that the files tell are the same.")],
    )
    table = _table(pairs, first, second)
    summary: list[Part] = [*(Text(each, True) for each in _verdicts(pairs, first, second)), table]
    if differences:
        few = f"{len(differences)} thing{'s differ' if len(differences) > 1 else ' differs'}"
        summary.insert(len(summary) - 1, Text(f"{few} between the two: see below."))
    title = f"{second} against {first}"
    both = [
        (pair.name, pair.traffic, pair.before, pair.after)
        for pair in pairs
        if pair.before is not None and pair.after is not None
    ]
    attained = target_changes(both, right.classes, (first, second))
    sections = [where, *attained, *_charts(pairs, first, second)]
    return Page(title, summary, sections, _origin(left, right))


def differing(left: Study, right: Study, first: str, second: str) -> Iterator[str]:
    """A sentence for each thing that differs, besides the runs."""
    one, two = left.results, right.results
    if one.study != two.study:
        yield f"{first} is of {one.study}, {second} of {two.study}."
    for key, words in _SETUP.items():
        was, now = one.setup.get(key), two.setup.get(key)
        if was != now:
            what = f"{words[:1].upper()}{words[1:]}"
            yield f"{what}: {_value(was)} in {first}, {_value(now)} in {second}."
    if left.classes != right.classes:
        was, now = (
            "none" if each is None else promises(each) for each in (left.classes, right.classes)
        )
        yield f"The service classes in {first}: {was}; in {second}: {now}."
    seeds = seeds_of(left), seeds_of(right)
    if seeds[0] != seeds[1]:
        yield f"The seeds: {seeds[0]} in {first}, {seeds[1]} in {second}."
    yield from _made(left, right, first, second)


def _made(left: Study, right: Study, first: str, second: str) -> Iterator[str]:
    one, two = left.results.origin, right.results.origin
    for study, origin, name in ((left, one, first), (right, two, second)):
        if origin is None:
            version = study.results.lengthwise or "an unknown version"
            yield (
                f"{name} was written by lengthwise {version}, which did not record its machine "
                "and the other versions: they may differ."
            )
    if one is None or two is None:
        return
    for name in [*one.versions, *(set(two.versions) - set(one.versions))]:
        was, now = one.versions.get(name), two.versions.get(name)
        if was != now:
            yield f"The version of {name}: {_value(was)} in {first}, {_value(now)} in {second}."
    if one.machine != two.machine:
        yield f"The machine: {one.machine} in {first}, {two.machine} in {second}."


def _unmatched(left: Study, right: Study, pairs: Sequence[Pair]) -> Iterator[str]:
    """Runs without a counterpart, and pairs whose requests are not the same."""
    for study, own, other in (
        (left, [run for pair in pairs for run in pair.left], right),
        (right, [run for pair in pairs for run in pair.right], left),
    ):
        alone = dict.fromkeys(
            f"{study.name_of(run)} at {study.traffic_of(run)}"
            for run in study.runs
            if not any(run is each for each in own)
        )
        if alone:
            yield f"Only {study.name}, not {other.name}, has: {'; '.join(alone)}."
    for pair in pairs:
        if pair.same_requests is False:
            yield (
                f"{pair.name} at {pair.traffic}: the requests or their times of arrival are not "
                "the same."
            )
        if pair.how == "none":
            yield (
                f"{pair.name} at {pair.traffic}: no file of the requests and no repetitions, so "
                "the changes have no interval."
            )


def _verdicts(pairs: Sequence[Pair], first: str, second: str) -> Iterator[str]:
    if not pairs:
        yield f"{first} and {second} have no run in common: nothing can be compared."
    for pair in pairs[:MOST]:
        found = pair.change(FIGURES[0])
        if found is not None:
            yield (
                f"{pair.name} at {pair.traffic}: mean latency {plain(found.before)} s in {first}, "
                f"{plain(found.after)} s in {second}: {found}, {clear(found)}."
            )


def _table(pairs: Sequence[Pair], first: str, second: str) -> Table:
    rows: list[list[Cell]] = []
    for pair in pairs:
        for figure in FIGURES:
            it = pair.change(figure)
            if it is not None:
                label = [pair.name, pair.traffic, figure.name]
                shares = [100 * it.share, 100 * it.low, 100 * it.high]
                rows.append([*label, it.before, it.after, *shares, pair.how])
    heads = [
        *("run", "traffic", "figure", f"{first} (s)", f"{second} (s)"),
        *("change (%)", "from (%)", "to (%)", "interval over"),
    ]
    note = (
        "From and to: the 95 % interval of the change. Over repetitions: of the changes from "
        "seed to the same seed. Over requests: of resampled blocks of requests that came one "
        "after the other. Paired: both served the same requests at the same times, and the "
        "same blocks are drawn of both; only requests that finished in both count. Unpaired: "
        "each is resampled by itself."
    )
    return Table("changes", f"{second} against {first}", heads, rows, note)


def _charts(pairs: Sequence[Pair], first: str, second: str) -> list[Section]:
    shown = [pair for pair in pairs if pair.before is not None and pair.after is not None]
    sections = []
    for pair in shown[: MOST // 2]:
        assert pair.before is not None
        assert pair.after is not None
        both = [replace(pair.before, name=first), replace(pair.after, name=second)]
        title = f"{pair.name} at {pair.traffic}"
        sections.append(Section(title, [latency(both), ttft(both), over_time(both)]))
    return sections


def _origin(left: Study, right: Study) -> Origin:
    """The second's, and the first's in sentences."""
    one, two = origin_of(left), origin_of(right)
    versions = ", ".join(f"{name} {it}" for name, it in one.versions)
    notes = [
        f"First: {one.command}",
        f"Its versions: {versions or 'not recorded'}.",
        f"Its seeds: {one.seeds}. Its machine: {one.machine}.",
        *one.notes,
        "Second: see below.",
        *two.notes,
    ]
    return replace(two, notes=tuple(dict.fromkeys(notes)))


def _names(left: Study, right: Study) -> tuple[str, str]:
    if left.name != right.name:
        return left.name, right.name
    return f"{left.name} (first)", f"{right.name} (second)"


def _value(value: object) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
