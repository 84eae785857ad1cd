"""Where a report's figures come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version

from lengthwise.report.parts import Origin
from lengthwise.report.results import Study
from lengthwise.results.origin import Made, made

UNKNOWN = Made(command="not recorded", versions={}, machine="not recorded")
"""What made a results.json that does not say."""


def origin(seeds: str, notes: Sequence[str] = (), by: Made | None = None) -> Origin:
    """What it takes to make the figures again.

    Args:
        seeds: of everything random, in words.
        notes: a sentence each: what the data was, which rows were left out and why.
        by: what made the figures; None is this command on this machine.
    """
    it = by or made()
    versions = [*it.versions.items()]
    if by is None:
        versions.append(("matplotlib", version("matplotlib")))
    return Origin(it.command, versions, seeds, it.machine, tuple(notes))


def origin_of(study: Study) -> Origin:
    """What made a study, as its results.json tells."""
    results = study.results
    by = results.origin or Made(
        command=UNKNOWN.command,
        versions={"lengthwise": results.lengthwise} if results.lengthwise else {},
        machine=UNKNOWN.machine,
    )
    return origin(seeds_of(study), tuple(_notes(study)), by)


def seeds_of(study: Study) -> str:
    """The seeds of the runs, in words."""
    found = sorted({run.seed for run in study.runs})
    if len(found) > 2 and found == list(range(found[0], found[-1] + 1)):
        return f"{found[0]} to {found[-1]}"
    return ", ".join(map(str, found))


def _notes(study: Study) -> Iterator[str]:
    setup = study.results.setup
    if "workload" in setup:
        drawn = "drawn from it with each seed" if setup["resampled"] else "served as they are"
        yield f"The workload is {setup['workload']}: {setup['requests']:,} requests, {drawn}."
        yield (
            f"The engine is simulated, with the step times of {setup['profile']}: its seconds are "
            "those of a model, not measured."
        )
    else:
        yield f"{setup['prompts']:,} prompts were sent to {setup['model']}."
    rejected = sum(run.get("rejected", 0) for run in study.runs)
    if rejected:
        yield f"{rejected:,} requests of all runs were larger than the KV memory: rejected."
    failed = sum(run.get("failed", 0) for run in study.runs)
    if failed:
        yield f"{failed:,} requests of all runs failed."
    for traffic in study.traffics:
        if any(run.get("overloaded") for run in study.runs if study.traffic_of(run) == traffic):
            yield (
                f"{traffic} is more than some run could serve: requests piled up, and its figures "
                "grow with the number of requests."
            )
