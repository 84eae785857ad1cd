"""A results folder as reports read it: its runs by name and traffic, and their requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import UNSET

from lengthwise.core.service import Classes
from lengthwise.errors import reading
from lengthwise.report.served import Served
from lengthwise.results.attainment import promised
from lengthwise.results.files import AGAIN, Results, read_requests, read_results
from lengthwise.results.promises import kept
from lengthwise.results.record import Promised, Run

_DIFFERING = ("router", "instances", "replicas", "stale_s", "seats")


@dataclass(frozen=True, eq=False)
class Study:
    """Runs that were made together.

    Attributes:
        results: what results.json holds.
        served: the requests of each run, or None where no file has them.
        name: of the folder.
        classes: the service classes that its requests are in; None without any.
    """

    results: Results
    served: Sequence[Served | None]
    name: str = "results"
    classes: Classes | None = None

    @property
    def runs(self) -> list[Run]:
        """The runs, in the order of the file."""
        return self.results.runs

    @property
    def by(self) -> str:
        """The field that repetitions differ in."""
        return "repeat" if self.results.study == "bench-routers" else "seed"

    def name_of(self, run: Run) -> str:
        """The policy, its predictor, and whatever else differs between the runs."""
        told = _told(run)
        parts = [run.policy if told is None else f"{run.policy}@{told}"]
        for field in _DIFFERING:
            if field in run and len({each.get(field) for each in self.runs}) > 1:
                value = run[field]
                parts.append(str(value) if field == "router" else f"{value:g} {_words(field)}")
        return ", ".join(parts)

    def traffic_of(self, run: Run) -> str:
        """How requests arrive, in words: a load, a rate, a burst."""
        if run.rate is None:
            return "burst" if run.get("arrivals", "burst") == "burst" else "the trace's own times"
        rate = f"{run.rate:.4g} requests/s"
        load = run.get("load")
        return rate if load is None else f"load {load:g} ({rate})"

    def at(self, traffic: str) -> list[Served]:
        """The requests of the first run of each name at this traffic."""
        found: dict[str, Served] = {}
        for run, served in zip(self.runs, self.served, strict=True):
            if served is not None and self.traffic_of(run) == traffic:
                found.setdefault(self.name_of(run), served)
        return list(found.values())

    @property
    def heaviest(self) -> str | None:
        """The traffic with the highest rate of which there are requests; else the first."""
        known = [
            (-1.0 if run.rate is None else run.rate, self.traffic_of(run))
            for run, served in zip(self.runs, self.served, strict=True)
            if served is not None
        ]
        return max(known, key=lambda each: each[0])[1] if known else None

    @property
    def traffics(self) -> list[str]:
        """The kinds of traffic, in order of the runs."""
        return list(dict.fromkeys(map(self.traffic_of, self.runs)))


def study_of(folder: Path, classes: Classes | None = None) -> Study:
    """A folder that ``lengthwise bench`` or ``simulate`` wrote.

    Args:
        classes: hold the requests against these service classes, not those of the study.

    Raises:
        UserError: if it is none, or damaged.
    """
    results = read_results(folder)
    study = Study(results, [None] * len(results.runs), folder.resolve().name)
    served = []
    for number, run in enumerate(results.runs):
        there = (folder / f"requests-{number}.jsonl").is_file()
        rows = read_requests(folder, number) if there else []
        one = Served.of(rows, study.name_of(run), classes) if rows else None
        served.append(one if one is not None and _belongs(one, run) else None)
    if classes is None:
        with reading(folder / "results.json", AGAIN):
            return Study(results, served, study.name, kept(results.setup))
    runs = [_held_against(*each, classes) for each in zip(results.runs, served, strict=True)]
    return Study(replace(results, runs=runs), served, study.name, classes)


def _held_against(run: Run, served: Served | None, classes: Classes) -> Run:
    """The run with its figures by these classes; without any where no file has its requests."""
    if served is not None:
        return Run.of(run, promised(served.times, served.service, classes))
    nothing: dict[str, Any] = {each.name: UNSET for each in fields(Promised)}
    return replace(run, **nothing)


def _belongs(served: Served, run: Run) -> bool:
    """Whether requests are a run's: an earlier study may have left files in the same folder."""
    latency = served.latency[np.isfinite(served.latency)]
    if len(served) != run.requests or len(latency) != run.finished:
        return False
    return not run.finished or math.isclose(latency.mean(), run["mean_latency_s"], rel_tol=1e-3)


def seats_of(run: Run) -> int | None:
    """Most requests at once, of all engines of the run."""
    seats: int | None = run.get("seats")
    return None if seats is None else seats * _engines(run)


def kv_tokens_of(setup: dict[str, Any], run: Run) -> int | None:
    """Tokens that the KV caches of a run's engines hold; None if not known."""
    if "memory" in run:
        return int(run["memory"]) * _engines(run)
    blocks = setup.get("blocks", setup.get("kv_blocks"))
    size = setup.get("block_size")
    return None if blocks is None or size is None else int(blocks) * int(size) * _engines(run)


def _engines(run: Run) -> int:
    return int(run.get("replicas", run.get("instances", 1)))


def _told(run: Run) -> str | None:
    """What predicts: an error model, or the folder of trained predictors by its name."""
    folder, model = run.get("predictors"), run.get("predictor")
    told = Path(folder).name if folder else model
    return None if told in (None, "none", "constant", run.policy) else str(told)


def _words(field: str) -> str:
    return {"stale_s": "s stale"}.get(field, field)
