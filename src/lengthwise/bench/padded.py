"""``lengthwise bench padded``: systems of batches on real instances."""

from __future__ import annotations

from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

from tqdm import tqdm

from lengthwise.bench import plan as plans
from lengthwise.bench.job import BenchRequest
from lengthwise.bench.padded_lengths import Measured, Scored, learning
from lengthwise.bench.padded_plan import ENDLESS, NO_TIME, ORACLE, PaddedPlan, probe_of, profiled
from lengthwise.core.checks import folder_for
from lengthwise.core.query import Query
from lengthwise.core.request import Request
from lengthwise.core.text import visible
from lengthwise.errors import UserError
from lengthwise.models.served import context_of
from lengthwise.online.scorer import Scorer
from lengthwise.padded import Limits, SliceTime, System, make_system
from lengthwise.padded.drive import Lengths, Log, serve
from lengthwise.padded.figures import figures
from lengthwise.padded.processes import Processes
from lengthwise.results import setups
from lengthwise.results.files import RequestRow, write_requests, write_results
from lengthwise.results.record import Batched, Labels, Notes, Run, Size
from lengthwise.results.tables import show_padded


def batch_compare(plan: PaddedPlan, out: Path) -> list[Run]:
    """Run every system at every rate on the same instances; results.json and a table.

    Raises:
        UserError: for an unknown system, one without its predictor, or a failed instance.
    """
    plan.check()
    folder_for(out)
    base, requests = plans.tokenized(plan.base, context_of(plan.base.model, ENDLESS))
    plan = replace(plan, base=base)
    longest = max(len(each.prompt_ids) for each in requests) + base.cap
    memory = plan.memory or base.seats * longest
    # Refuses a memory that does not hold the longest request.
    Limits(plan.instances, memory, longest, NO_TIME)
    grid = [] if plan.slice_time is not None else profiled(base.seats, longest, memory)
    runs: list[Run] = []
    with Processes(plan.base.model, plan.instances, memory) as engine:
        limits = Limits(plan.instances, memory, longest, _slice_time(plan, engine, grid))
        limits.time.save(out / "slice_time.json")
        bench = _Bench(plan, limits, engine, requests)
        for rate in plan.base.rates:
            for spec in plan.base.policies:
                run, log = bench.run(spec, rate)
                runs.append(run)
                _write(out, plan, limits, runs, log)
    show_padded(runs, "lengthwise bench padded")
    return runs


class _Bench:
    """What the runs share."""

    def __init__(
        self, plan: PaddedPlan, limits: Limits, engine: Processes, requests: list[BenchRequest]
    ) -> None:
        self._plan, self._limits, self._engine = plan, limits, engine
        self._prompts = {each.id: each.prompt_ids for each in requests}
        self._caps = {each.id: each.cap(plan.base.cap) for each in requests}
        self._asked = {id: Query(id, ids, "", self._caps[id]) for id, ids in self._prompts.items()}
        self._measured: Measured | None = None
        self._answers: dict[str, list[int]] = {}

    def run(self, spec: str, rate: float | None) -> tuple[Run, Log]:
        """One system at one rate; its figures under the names of results.json."""
        name = spec.partition("@")[0]
        system = make_system(name, self._limits, self._plan.constants)
        probe = probe_of(self._plan.base, spec)
        requests, log = self._serve(system, self._lengths(probe), rate)
        answers = {request.id: self._engine.answer(request) for request in requests}
        for id, answer in answers.items():
            self._answers.setdefault(id, answer)
        other = sum(answers[id] != self._answers[id] for id in answers)
        wall = sum(each.ran.note.get("wall_s", 0.0) for each in log.batches)
        found = figures(log, self._limits.instances, self._plan.base.until)
        if not found[0].finished:
            raise UserError(f"policy {spec} finished no request at all")
        labels, size = self._labels(name, probe, rate)
        notes = Batched(wall_s=wall), Notes(other_answers=other)
        return Run.of(labels, size, *found, *notes), log

    def _labels(self, name: str, probe: str | None, rate: float | None) -> tuple[Labels, Size]:
        base = self._plan.base
        labels = Labels(
            policy=name,
            predictor=probe and Path(probe).name,
            engine=f"transformers {version('transformers')}",
            model=base.model.name,
            rate=rate,
            seed=base.seed,
        )
        limits = self._limits
        return labels, Size(cap=base.cap, memory=limits.memory, instances=limits.instances)

    def _serve(
        self, system: System, lengths: Lengths | None, rate: float | None
    ) -> tuple[list[Request], Log]:
        arrivals = plans.arrival_times(self._plan.base, rate)
        requests = [
            Request(id, arrival, seq, len(ids))
            for seq, ((id, ids), arrival) in enumerate(
                zip(self._prompts.items(), arrivals, strict=True)
            )
        ]
        self._engine.begin(self._prompts, self._caps)
        bar = tqdm(total=len(requests), desc=f"{visible(system.name):>12}", unit="request")
        log = serve(requests, system, self._engine, self._limits.instances, lengths, bar.update)
        bar.close()
        return requests, log

    def _lengths(self, probe: str | None) -> Lengths | None:
        """What predicts: nothing, measured lengths, a trained predictor, or one that learns."""
        if probe is None:
            return None
        if probe == ORACLE:
            return self._oracle()
        import torch

        # The cores are the instances': more threads would only wait for each other.
        torch.set_num_threads(1)
        model = self._plan.base.model
        scorer = Scorer.load(probe, str(model))
        scorer.warm_up()
        if not self._plan.learn:
            return Scored(scorer, self._asked)
        return learning(scorer, self._asked, list(self._plan.learn), model, self._plan.base.cap)

    def _oracle(self) -> Measured:
        if self._measured is None:
            first = make_system("vanilla", self._limits, self._plan.constants)
            requests, _ = self._serve(first, None, None)
            self._measured = Measured({each.id: each.generated for each in requests})
        return self._measured


def _slice_time(plan: PaddedPlan, engine: Processes, grid: list[tuple[int, int]]) -> SliceTime:
    return SliceTime.load(plan.slice_time) if plan.slice_time is not None else engine.profile(grid)


def _write(out: Path, plan: PaddedPlan, limits: Limits, runs: list[Run], log: Log) -> None:
    """results.json of all runs so far, and the last run's requests, a line each."""
    setup = setups.PaddedBench(
        **plans.shared_setup(plan.base),
        instances=plan.instances,
        memory=limits.memory,
        learn=[str(folder) for folder in plan.learn],
        constants=asdict(plan.constants),
        slice_time=asdict(limits.time),
    )
    write_results(out, setup, runs)
    rows = (
        RequestRow(
            id=timing.id,
            arrival=timing.arrival,
            first=timing.first,
            finish=timing.finish,
            longest_gap=timing.longest_gap,
            tokens=timing.tokens,
            prompt_tokens=timing.request.prompt_tokens,
            tenant=timing.request.tenant,
            priority=timing.request.priority,
            slices=timing.slices,
            predicted=timing.request.initial,
        )
        for timing in log.timings
    )
    write_requests(out, len(runs) - 1, rows)
